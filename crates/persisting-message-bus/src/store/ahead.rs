//! The first messages after a cursor, read before the page that hands them out.
//!
//! A source that answers several questions at once reads them together with the topic's head. So a
//! consumer that was woken for a few messages has them already when it takes the lease. A page that begins
//! elsewhere, because the cursor was moved meanwhile, is read as usual.

use std::ops::ControlFlow;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::message::raw::StoredMessage;
use crate::position::Position;
use crate::store::page_request::{PageRequest, TypeFilter};
use crate::store::part::Part;
use crate::store::place::MessageAt;

/// The first messages of all types after a position, up to the high-water mark.
#[derive(Debug)]
pub struct Ahead {
    after: Position,
    up_to: Position,
    /// The id of the message at `after`; `None` if there is none.
    id_before: Option<Uuid>,
    messages: Vec<Kept>,
    bytes: usize,
}

/// A copy of a stored message.
#[derive(Debug)]
struct Kept {
    position: Position,
    message_id: Uuid,
    message_type: Box<str>,
    message_version: u32,
    payload: Box<str>,
    headers: Box<str>,
    published_at: DateTime<Utc>,
}

impl Ahead {
    /// The largest number of messages. With more, the copies cost more than they save.
    pub const MOST_MESSAGES: usize = 16;

    /// The largest size of their payloads and headers, in bytes.
    pub const MOST_BYTES: usize = 64 * 1024;

    /// Creates one without messages, for the range of a page.
    #[must_use]
    pub fn of(page: &PageRequest<'_>) -> Self {
        Self {
            after: page.after,
            up_to: page.up_to,
            id_before: None,
            messages: Vec::new(),
            bytes: 0,
        }
    }

    /// Returns the position after which the range begins.
    pub(crate) fn after(&self) -> Position {
        self.after
    }

    /// Notes the id of the message after which the range begins; `None` if there is none. A source must
    /// look for it, because consumers recognise the source by it.
    #[must_use]
    pub fn preceded_by(self, id_before: Option<Uuid>) -> Self {
        Self { id_before, ..self }
    }

    /// Adds the next message. Breaks if there is no room for it: then not all messages of the range are
    /// known, and this is of no use.
    pub fn add(&mut self, stored: &StoredMessage<'_>) -> ControlFlow<()> {
        self.bytes += stored.payload.len() + stored.headers.len();
        if self.messages.len() == Self::MOST_MESSAGES || self.bytes > Self::MOST_BYTES {
            return ControlFlow::Break(());
        }
        self.messages.push(Kept {
            position: stored.position,
            message_id: stored.message_id,
            message_type: stored.message_type.into(),
            message_version: stored.message_version,
            payload: stored.payload.into(),
            headers: stored.headers.into(),
            published_at: stored.published_at,
        });
        ControlFlow::Continue(())
    }

    /// Returns the ids of the messages at two positions, if both are in the range.
    pub(crate) fn ids_at(&self, positions: [Position; 2]) -> Option<[Option<Uuid>; 2]> {
        let range = self.after..=self.up_to;
        let id_at = |position: Position| {
            if position == self.after {
                return self.id_before;
            }
            let mut messages = self.messages.iter();
            let found = messages.find(|kept| kept.position == position);
            found.map(|kept| kept.message_id)
        };
        let are_known = positions.iter().all(|position| range.contains(position));
        are_known.then(|| positions.map(id_at))
    }

    /// Passes the messages of a page to `receive`, as
    /// [`read_page`](crate::store::source::MessageSource::read_page) does. Returns `None` if the page is not
    /// within the range.
    ///
    /// Of a page that begins with the message before the range, that message has its position and its id
    /// only. This is enough to recognise it.
    pub(crate) fn read_page(
        &self,
        page: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Option<MessageAt> {
        let begins_before =
            page.after == self.after.before() && page.message_types == TypeFilter::All;
        let is_within = page.up_to <= self.up_to && (page.after >= self.after || begins_before);
        if page.part != Part::Whole || !is_within {
            return None;
        }
        let before = self.id_before.filter(|_| begins_before);
        let before = before.map(|message_id| StoredMessage {
            position: self.after,
            message_id,
            topic: page.topic,
            message_type: "",
            message_version: 1,
            payload: "",
            headers: "",
            published_at: DateTime::UNIX_EPOCH,
        });
        let messages = self.messages.iter().map(|kept| kept.stored(page.topic));
        let in_page = |stored: &StoredMessage<'_>| {
            let between = stored.position > page.after && stored.position <= page.up_to;
            between && page.message_types.include(stored.message_type)
        };
        let messages = before.into_iter().chain(messages.filter(in_page));
        let (mut last, mut count) = (None, 0);
        for stored in messages.take(page.limit) {
            let at = MessageAt {
                position: stored.position,
                message_id: Some(stored.message_id),
            };
            (last, count) = (Some(at), count + 1);
            if receive(&stored).is_break() {
                return Some(at);
            }
        }
        Some(page.end(last, count))
    }
}

impl Kept {
    fn stored<'a>(&'a self, topic: &'a str) -> StoredMessage<'a> {
        StoredMessage {
            position: self.position,
            message_id: self.message_id,
            topic,
            message_type: &self.message_type,
            message_version: self.message_version,
            payload: &self.payload,
            headers: &self.headers,
            published_at: self.published_at,
        }
    }
}

#[cfg(test)]
mod tests;
