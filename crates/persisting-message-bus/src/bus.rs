use std::ops::ControlFlow;
use std::time::Duration;

use crate::{
    ConsumerStatus, Error, Lease, LeaseRequest, MessageConsumerState, MessageSource, PageRequest,
    Position, Sightings, StoreCursor, StoredMessage,
};

/// Messages from one place, consumer state in another, as one bus.
///
/// A Diesel connection is a bus by itself and needs no joining. Where the two are joined, a
/// transaction is one of the state only: so messages cannot be dispatched on a joined bus, and
/// those that it reads have to be committed.
#[derive(Debug, Clone, Default)]
pub struct MessageBus<M, S> {
    /// Where messages come from and go to.
    pub messages: M,
    /// Where cursors and leases are kept.
    pub state: S,
}

impl<M, S> MessageBus<M, S> {
    /// Joins the two.
    pub fn new(messages: M, state: S) -> Self {
        Self { messages, state }
    }
}

impl<M: MessageSource, S> MessageSource for MessageBus<M, S> {
    fn horizon(&mut self, topic: &str, sightings: &mut Sightings) -> Result<Position, Error> {
        self.messages.horizon(topic, sightings)
    }

    fn head(&mut self, topic: &str, horizon: Position) -> Result<Position, Error> {
        self.messages.head(topic, horizon)
    }

    fn last_position(&mut self) -> Result<Position, Error> {
        self.messages.last_position()
    }

    fn changes(&mut self) -> Result<Option<i64>, Error> {
        self.messages.changes()
    }

    fn read_page(
        &mut self,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.messages.read_page(request, receive)
    }
}

impl<M, S: MessageConsumerState> MessageConsumerState for MessageBus<M, S> {
    fn acquire(&mut self, request: &LeaseRequest<'_>) -> Result<Lease, Error> {
        self.state.acquire(request)
    }

    fn store_cursor(&mut self, lease: &Lease, store: &StoreCursor) -> Result<(), Error> {
        self.state.store_cursor(lease, store)
    }

    fn renew(&mut self, lease: &Lease, duration: Duration) -> Result<(), Error> {
        self.state.renew(lease, duration)
    }

    fn release(&mut self, lease: &Lease) -> Result<(), Error> {
        self.state.release(lease)
    }

    fn consumer_status(
        &mut self,
        consumer: &str,
        topic: &str,
    ) -> Result<Option<ConsumerStatus>, Error> {
        self.state.consumer_status(consumer, topic)
    }
}
