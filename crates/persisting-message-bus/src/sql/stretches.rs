//! Reads pages of some types in stretches, so that no statement passes over more messages than it
//! can pass over in a few milliseconds.
//!
//! The messages of a rare type can be millions of messages apart. One statement that reads up to
//! the next one could take minutes. A `statement_timeout` would end it each time, and the consumer
//! would never get further. So a page of some types consists of:
//!
//! 1. The messages of the next 10,000 positions. If the page is then full, or has reached its end,
//!    this is all.
//! 2. The ids of the topic's next 10,000 messages of all types, and whether each is selected. The
//!    page ends at the last of them. This begins after the last message of step 1, so it also finds
//!    messages that step 1 should have read.
//! 3. The selected messages among them, if there are any. They must be as many as step 2 has found.
//!    A proxy that splits reads can otherwise read them from an older state.
//!
//! On a slow disk, even 10,000 messages can take longer than a `statement_timeout` allows. So where a
//! statement of step 1 or 2 was ended, step 2 is tried with fewer messages.

use std::ops::ControlFlow;

use crate::error::Error;
use crate::error::class::Class;
use crate::message::raw::StoredMessage;
use crate::position::Position;
use crate::sql::backend::StoreBackend;
use crate::sql::executor::on_sync::OnSync;
use crate::sql::own_transactions::is_in_transaction;
use crate::sql::statements::passing::{Passed, pass};
use crate::sql::tables::{ConsumerTables, on_tables};
use crate::store::page_request::{PageRequest, TypeFilter};
use crate::store::part::Part;
use crate::store::place::MessageAt;

/// The number of messages that a statement passes over.
const STRETCH: usize = 10_000;
/// The smallest number of messages that is tried after longer stretches were ended.
const SHORTEST: usize = 100;

/// Reads a page, and returns its end.
pub(super) fn read_page<T: ConsumerTables>(
    tables: &mut T,
    request: &PageRequest<'_>,
    receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
) -> Result<MessageAt, Error> {
    let mut received = Received {
        receive,
        last: None,
        count: 0,
        broke: false,
    };
    let near = end_of_stretch(request);
    let was_read = received.read(
        tables,
        &PageRequest {
            up_to: near,
            ..*request
        },
    );
    let was_ended = was_read.is_err();
    if let Err(error) = was_read
        && (is_whole_topic(request) || !can_be_shorter(tables, &error))
    {
        return Err(error);
    }
    if let Some(end) = received.end(request.limit) {
        return Ok(end);
    }
    if !was_ended && (near == request.up_to || request.limit == 0) {
        return Ok(request.end(received.last, received.count));
    }
    let stretch = if was_ended { STRETCH / 10 } else { STRETCH };
    let after = received.last.map_or(request.after, |last| last.position);
    let rest = PageRequest {
        after,
        limit: request.limit.saturating_sub(received.count),
        ..*request
    };
    let Passed { end, selected } = pass_over(tables, &rest, stretch)?;
    let before = received.count;
    if selected > 0 {
        let found = PageRequest {
            up_to: end.position,
            limit: selected,
            ..rest
        };
        received.read(tables, &found)?;
        if !received.broke && received.count - before < selected {
            return Err(Error::stale_page(request.topic, after, end.position));
        }
    }
    Ok(received.end(request.limit).unwrap_or(end))
}

/// Passes over as many messages as one statement can, at most `stretch`.
fn pass_over<T: ConsumerTables>(
    tables: &mut T,
    request: &PageRequest<'_>,
    mut stretch: usize,
) -> Result<Passed, Error> {
    loop {
        let passed = on_tables(tables, |connection, schema| {
            pass(connection, &schema.messages, request, stretch)
        });
        match passed {
            Err(error) if stretch > SHORTEST && can_be_shorter(tables, &error) => stretch /= 10,
            passed => return passed,
        }
    }
}

/// Returns whether a shorter statement may succeed. In a transaction, none may: on PostgreSQL the
/// error has ended it.
fn can_be_shorter<T: ConsumerTables>(tables: &mut T, error: &Error) -> bool {
    error.class() == Some(Class::Transient) && !is_in_transaction(&mut OnSync(tables.parts().0))
}

/// Returns the position up to which the first statement reads.
fn end_of_stretch(request: &PageRequest<'_>) -> Position {
    if is_whole_topic(request) {
        return request.up_to;
    }
    let length = i64::try_from(STRETCH).unwrap_or(i64::MAX);
    let near = request.after.get().saturating_add(length);
    request.up_to.min(Position::new(near))
}

/// Returns whether a statement passes over no message, because all are selected or none.
fn is_whole_topic(request: &PageRequest<'_>) -> bool {
    match request.message_types {
        TypeFilter::All | TypeFilter::Except([]) => request.part == Part::Whole,
        TypeFilter::Only(names) => names.is_empty(),
        TypeFilter::Except(_) => false,
    }
}

/// The messages that were passed to the receiver.
struct Received<'r> {
    receive: &'r mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    last: Option<MessageAt>,
    count: usize,
    broke: bool,
}

impl Received<'_> {
    fn read<T: ConsumerTables>(
        &mut self,
        tables: &mut T,
        request: &PageRequest<'_>,
    ) -> Result<(), Error> {
        on_tables(tables, |connection, schema| {
            T::Backend::read_page(connection, schema, request, &mut |stored| {
                self.last = Some(MessageAt {
                    position: stored.position,
                    message_id: Some(stored.message_id),
                });
                self.count += 1;
                let next = (self.receive)(stored);
                self.broke = next.is_break();
                next
            })
        })
    }

    /// Returns the last message, if the page ends with it.
    fn end(&self, limit: usize) -> Option<MessageAt> {
        self.last.filter(|_| self.broke || self.count >= limit)
    }
}
