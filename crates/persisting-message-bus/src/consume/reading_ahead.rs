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
    pub(super) source: &'a mut B,
    pub(super) ahead: Option<&'a Ahead>,
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
