use std::ops::ControlFlow;
use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    Backlog, Error, FailedMessage, FailedPage, Failure, FailureState, FlowMessage, GiveUp, Lease,
    LeaseRequest, MessageConsumerState, MessageFailures, MessageInbox, MessageSource, NoteWork,
    PageRequest, Parked, Position, Received, Sightings, StoreCursor, StoredConsumer, StoredMessage,
    TransactionMark, TransactionState, Transactions, TransactionsOn,
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

    fn first_since(
        &mut self,
        topic: &str,
        time: DateTime<Utc>,
        up_to: Position,
    ) -> Result<Option<Position>, Error> {
        self.messages.first_since(topic, time, up_to)
    }

    fn position_of(&mut self, topic: &str, message_id: Uuid) -> Result<Option<Position>, Error> {
        self.messages.position_of(topic, message_id)
    }

    fn backlog(&mut self, topic: &str, after: Position) -> Result<Backlog, Error> {
        self.messages.backlog(topic, after)
    }

    fn flow_messages(
        &mut self,
        correlation_id: &str,
        limit: usize,
    ) -> Result<Vec<FlowMessage>, Error> {
        self.messages.flow_messages(correlation_id, limit)
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

    fn note_work(&mut self, lease: &Lease, note: &NoteWork) -> Result<(), Error> {
        self.state.note_work(lease, note)
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

    fn reset(&mut self, lease: &Lease, cursor: Option<Position>) -> Result<(), Error> {
        self.state.reset(lease, cursor)
    }

    fn set_paused(&mut self, consumer: &str, topic: &str, paused: bool) -> Result<bool, Error> {
        self.state.set_paused(consumer, topic, paused)
    }

    fn stored_consumer(
        &mut self,
        consumer: &str,
        topic: &str,
    ) -> Result<Option<StoredConsumer>, Error> {
        self.state.stored_consumer(consumer, topic)
    }
}

impl<M, S: MessageInbox> MessageInbox for MessageBus<M, S> {
    fn receive(&mut self, received: &Received<'_>) -> Result<bool, Error> {
        self.state.receive(received)
    }

    fn prune_inbox(
        &mut self,
        consumer: &str,
        source: &str,
        window: Duration,
    ) -> Result<u64, Error> {
        self.state.prune_inbox(consumer, source, window)
    }
}

impl<M, S: MessageFailures> MessageFailures for MessageBus<M, S> {
    fn record_failure(&mut self, lease: &Lease, failure: &Failure<'_>) -> Result<u32, Error> {
        self.state.record_failure(lease, failure)
    }

    fn give_up(&mut self, lease: &Lease, position: Position, then: GiveUp) -> Result<(), Error> {
        self.state.give_up(lease, position, then)
    }

    fn is_redriven(
        &mut self,
        lease: &Lease,
        position: Position,
        hold: Duration,
    ) -> Result<bool, Error> {
        self.state.is_redriven(lease, position, hold)
    }

    fn take_redriven(
        &mut self,
        lease: &Lease,
        position: Position,
        hold: Duration,
    ) -> Result<bool, Error> {
        self.state.take_redriven(lease, position, hold)
    }

    fn failed_messages(&mut self, request: &FailedPage<'_>) -> Result<Vec<FailedMessage>, Error> {
        self.state.failed_messages(request)
    }

    fn count_failed(
        &mut self,
        consumer: &str,
        topic: &str,
        state: FailureState,
    ) -> Result<u64, Error> {
        self.state.count_failed(consumer, topic, state)
    }

    fn redrive(&mut self, consumer: &str, topic: &str, which: Parked<'_>) -> Result<u64, Error> {
        self.state.redrive(consumer, topic, which)
    }

    fn discard(&mut self, consumer: &str, topic: &str, which: Parked<'_>) -> Result<u64, Error> {
        self.state.discard(consumer, topic, which)
    }
}

/// Messages from elsewhere, effects and cursor in one transaction.
impl<M, S: Transactions> Transactions for MessageBus<M, S> {
    fn begin(&mut self) -> Result<(), Error> {
        self.state.begin()
    }

    fn commit(&mut self) -> Result<(), Error> {
        self.state.commit()
    }

    fn roll_back(&mut self) -> Result<(), Error> {
        self.state.roll_back()
    }

    fn open_transactions(&mut self) -> usize {
        self.state.open_transactions()
    }

    fn begin_guarded(&mut self) -> Result<TransactionMark, Error> {
        self.state.begin_guarded()
    }

    fn state_of(&mut self, mark: &TransactionMark) -> Result<TransactionState, Error> {
        self.state.state_of(mark)
    }

    fn end_guard(&mut self, mark: &TransactionMark) {
        self.state.end_guard(mark);
    }
}

impl<M, S: TransactionsOn<C>, C: ?Sized> TransactionsOn<C> for MessageBus<M, S> {
    fn connection(&mut self) -> &mut C {
        self.state.connection()
    }
}
