//! A source some of whose messages are known already.

use std::ops::ControlFlow;

use uuid::Uuid;

use crate::error::Error;
use crate::message::raw::StoredMessage;
use crate::position::Position;
use crate::store::ahead::Ahead;
use crate::store::page_request::PageRequest;
use crate::store::place::MessageAt;
use crate::store::slot_observations::SlotObservations;
use crate::store::source::MessageSource;

/// Reads from what was read ahead, where that has the answer, and otherwise from the source.
pub(super) struct ReadingAhead<'a, B: ?Sized> {
    source: &'a mut B,
    ahead: Option<&'a Ahead>,
}

impl<'a, B: ?Sized> ReadingAhead<'a, B> {
    /// Creates the source of a page after a cursor. What was read ahead is of no use if the cursor was
    /// moved back since: it has only the id of the message before it.
    pub(super) fn new(source: &'a mut B, ahead: Option<&'a Ahead>, cursor: Position) -> Self {
        let ahead = ahead.filter(|ahead| ahead.after() <= cursor);
        Self { source, ahead }
    }
}

impl<B: MessageSource + ?Sized> MessageSource for ReadingAhead<'_, B> {
    fn high_water_mark(
        &mut self,
        topic: &str,
        observations: &mut SlotObservations,
    ) -> Result<Position, Error> {
        self.source.high_water_mark(topic, observations)
    }

    fn head(&mut self, topic: &str, high_water_mark: Position) -> Result<MessageAt, Error> {
        self.source.head(topic, high_water_mark)
    }

    fn ids_at(
        &mut self,
        topic: &str,
        positions: [Position; 2],
    ) -> Result<[Option<Uuid>; 2], Error> {
        match self.ahead.and_then(|ahead| ahead.ids_at(positions)) {
            Some(ids) => Ok(ids),
            None => self.source.ids_at(topic, positions),
        }
    }

    fn last_position(&mut self) -> Result<Position, Error> {
        self.source.last_position()
    }

    fn read_page(
        &mut self,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<MessageAt, Error> {
        match self
            .ahead
            .and_then(|ahead| ahead.read_page(request, receive))
        {
            Some(end) => Ok(end),
            None => self.source.read_page(request, receive),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;
    use crate::memory::InMemoryMessageBus;
    use crate::message::raw::RawMessage;
    use crate::message::slot::Slot;
    use crate::store::page_request::TypeFilter;
    use crate::store::part::Part;
    use crate::store::repository::{MessageRepository, OnDuplicate};

    const TOPIC: &str = "orders";

    fn message(number: u128) -> RawMessage {
        RawMessage {
            message_id: Uuid::from_u128(number),
            topic: TOPIC.into(),
            message_type: "Placed".into(),
            message_version: 1,
            payload: "{}".to_owned(),
            headers: "{}".to_owned(),
            published_at: Utc::now(),
            correlation_id: None,
            key_slot: Slot::NONE,
        }
    }

    /// Another holder, or an operator, moves the cursor back after the messages were read ahead.
    #[test]
    fn a_page_before_what_was_read_ahead_comes_from_the_source() -> Result<(), Error> {
        let mut bus = InMemoryMessageBus::default();
        bus.persist(&[message(1), message(2), message(3)], OnDuplicate::Fail)?;
        let page = |after| PageRequest {
            topic: TOPIC,
            part: Part::Whole,
            message_types: TypeFilter::All,
            after: Position::new(after),
            up_to: Position::new(3),
            limit: 10,
        };
        let mut ahead = Ahead::of(&page(2)).preceded_by(Some(Uuid::from_u128(2)));
        bus.read_page(&page(2), &mut |stored| ahead.add(stored))?;
        for (cursor, types) in [(1, ["Placed", "Placed"]), (2, ["", "Placed"])] {
            let cursor = Position::new(cursor);
            let mut source = ReadingAhead::new(&mut bus, Some(&ahead), cursor);
            let mut found = Vec::new();
            source.read_page(&page(1), &mut |stored| {
                found.push(stored.message_type.to_owned());
                ControlFlow::Continue(())
            })?;
            assert_eq!(found, types, "the cursor is at {cursor}");
        }
        Ok(())
    }
}
