use std::ops::ControlFlow;
use std::time::Duration;

use uuid::Uuid;

use crate::error::Error;
use crate::message::raw::StoredMessage;
use crate::message::slot::Slot;
use crate::position::Position;
use crate::store::ahead::Ahead;
use crate::store::consumer_state::{
    ConsumerRow, CursorUpdate, MessageConsumerState, NoteWork, SegmentChange, SegmentRow,
};
use crate::store::failures::{
    FailedMessage, FailedMessagesRequest, FailurePolicy, FailureState, MessageFailures, NewFailure,
    ParkedSelector,
};
use crate::store::identity::ConsumerIdentity;
use crate::store::inbox::{InboxEntry, InboxKey, MessageInbox};
use crate::store::key::ConsumerKey;
use crate::store::lease::{Lease, LeaseRequest};
use crate::store::page_request::PageRequest;
use crate::store::part::Part;
use crate::store::place::{MessageAt, Place};
use crate::store::segment::{Division, Segment};
use crate::store::slot_observations::SlotObservations;
use crate::store::source::FlowMessage;
use crate::store::source::{Backlog, MessageSource};
use crate::store::transactions::{
    TransactionControl, TransactionControlOn, TransactionMark, TransactionState,
};

/// A bus that joins messages from one place with consumer state from another.
///
/// A Diesel connection is a bus by itself and needs no joining. On a joined bus, a transaction
/// covers only the state. Messages therefore cannot be dispatched on a joined bus, and it can only
/// read messages that are committed.
///
/// ```
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::operate::{ConsumerCondition, ConsumerKey, ConsumerStatus};
/// use persisting_message_bus::{Message, MessageBus, MessageConsumer, MessageDispatcher, Topic};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderPlaced {}
///
/// #[derive(Topic)]
/// #[topic(name = "orders")]
/// enum Orders { OrderPlaced(OrderPlaced) }
///
/// let (mut shop, reports) = (InMemoryMessageBus::default(), InMemoryMessageBus::default());
/// MessageDispatcher::<Orders>::new().dispatch(&mut shop, &OrderPlaced {})?;
///
/// let mut bus = MessageBus::new(shop.clone(), reports); // messages, consumer state
/// let mut consumer = MessageConsumer::<Orders>::external("sales", |_: &Message<Orders>| Ok(()));
/// assert_eq!(consumer.handle_new_messages(&mut bus)?, 1);
///
/// let key = ConsumerKey::on::<Orders>("sales");
/// assert_eq!(ConsumerStatus::read(&mut bus, key)?.condition, ConsumerCondition::CaughtUp);
/// assert_eq!(ConsumerStatus::read(&mut shop, key)?.condition, ConsumerCondition::NeverRan);
/// # Ok::<(), persisting_message_bus::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct MessageBus<M, S> {
    /// The repository that holds the messages.
    pub messages: M,
    /// The store of cursors and leases.
    pub state: S,
    source: Option<String>,
}

impl<M, S> MessageBus<M, S> {
    /// Joins messages and consumer state.
    pub fn new(messages: M, state: S) -> Self {
        Self {
            messages,
            state,
            source: None,
        }
    }

    /// Names the source of the messages. The name is stored with each cursor, and a consumer stops
    /// if it finds its cursor under another name. An [`HttpSource`] has a name of its own, its
    /// address; other sources have none.
    ///
    /// [`HttpSource`]: https://docs.rs/persisting-message-bus-http/latest/persisting_message_bus_http/struct.HttpSource.html
    #[must_use]
    pub fn source(mut self, name: impl Into<String>) -> Self {
        self.source = Some(name.into());
        self
    }
}

/// Forwards methods to a field. All methods of a trait must be listed, also those with a default: it
/// would not be that of the field's type.
macro_rules! forward {
    ($field:ident: $(fn $name:ident($($argument:ident: $type:ty),*) $(-> $output:ty)?;)*) => {$(
        fn $name(&mut self, $($argument: $type),*) $(-> $output)? {
            self.$field.$name($($argument),*)
        }
    )*};
}

impl<M: MessageSource, S> MessageSource for MessageBus<M, S> {
    fn source_name(&self) -> Option<String> {
        self.source.clone().or_else(|| self.messages.source_name())
    }

    forward! { messages:
        fn high_water_mark(topic: &str, observations: &mut SlotObservations) -> Result<Position, Error>;
        fn high_water_mark_beyond(topic: &str, after: Position, observations: &mut SlotObservations) -> Result<Option<Position>, Error>;
        fn current_head(topic: &str) -> Result<Position, Error>;
        fn head(topic: &str, high_water_mark: Position) -> Result<MessageAt, Error>;
        fn head_and_ahead(page: &PageRequest<'_>) -> Result<(MessageAt, Option<Ahead>), Error>;
        fn id_at(topic: &str, position: Position) -> Result<Option<Uuid>, Error>;
        fn ids_at(topic: &str, positions: [Position; 2]) -> Result<[Option<Uuid>; 2], Error>;
        fn check_part(part: Part) -> Result<(), Error>;
        fn slots_after(topic: &str, after: Position, up_to: Position, limit: usize) -> Result<Vec<(Position, Slot)>, Error>;
        fn last_position() -> Result<Position, Error>;
        fn position_of(topic: &str, message_id: Uuid) -> Result<Option<Position>, Error>;
        fn backlog(topic: &str, after: Position) -> Result<Backlog, Error>;
        fn flow_messages(correlation_id: &str, limit: usize) -> Result<Vec<FlowMessage>, Error>;
        fn change_token() -> Result<Option<i64>, Error>;
        fn abandon_source();
        fn read_page(request: &PageRequest<'_>, receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>) -> Result<MessageAt, Error>;
    }
}

impl<M, S: MessageConsumerState> MessageConsumerState for MessageBus<M, S> {
    forward! { state:
        fn acquire(request: &LeaseRequest<'_>) -> Result<Lease, Error>;
        fn note_work(lease: &Lease, note: &NoteWork) -> Result<(), Error>;
        fn store_cursor(lease: &Lease, store: &CursorUpdate) -> Result<(), Error>;
        fn renew(lease: &Lease, duration: Duration) -> Result<(), Error>;
        fn release(lease: &Lease) -> Result<(), Error>;
        fn end_lease(key: ConsumerKey<'_>) -> Result<bool, Error>;
        fn reset(lease: &Lease, place: Place) -> Result<(), Error>;
        fn identify(lease: &Lease, identity: ConsumerIdentity<'_>) -> Result<(), Error>;
        fn replace_event_set(key: ConsumerKey<'_>, before: &str, after: &str) -> Result<bool, Error>;
        fn rename(from: &str, to: &str) -> Result<bool, Error>;
        fn pause(key: ConsumerKey<'_>) -> Result<bool, Error>;
        fn resume(key: ConsumerKey<'_>) -> Result<bool, Error>;
        fn abandon_state();
        fn stored_consumer(key: ConsumerKey<'_>) -> Result<Option<ConsumerRow>, Error>;
        fn divide(leases: &[Lease], division: Division) -> Result<(), Error>;
        fn segments(key: ConsumerKey<'_>, division: Division) -> Result<Vec<SegmentRow>, Error>;
        fn stored_segment(key: ConsumerKey<'_>, segment: &Segment) -> Result<Option<ConsumerRow>, Error>;
        fn change_division(key: ConsumerKey<'_>, before: Division, after: Division) -> Result<bool, Error>;
        fn replace_segments(changes: &[SegmentChange<'_>]) -> Result<bool, Error>;
    }
}

impl<M, S: MessageInbox> MessageInbox for MessageBus<M, S> {
    forward! { state:
        fn receive(received: &InboxEntry<'_>) -> Result<bool, Error>;
        fn prune_inbox(key: InboxKey<'_>, retention: Duration) -> Result<u64, Error>;
    }
}

impl<M, S: MessageFailures> MessageFailures for MessageBus<M, S> {
    forward! { state:
        fn record_failure(lease: &Lease, failure: &NewFailure<'_>) -> Result<u32, Error>;
        fn give_up(lease: &Lease, message: MessageAt, then: FailurePolicy) -> Result<(), Error>;
        fn is_redriven(lease: &Lease, position: Position, extend_lease: Duration) -> Result<bool, Error>;
        fn take_redriven(lease: &Lease, position: Position, extend_lease: Duration) -> Result<bool, Error>;
        fn failed_messages(request: &FailedMessagesRequest<'_>) -> Result<Vec<FailedMessage>, Error>;
        fn count_failed(key: ConsumerKey<'_>, state: FailureState) -> Result<u64, Error>;
        fn count_parked(key: ConsumerKey<'_>) -> Result<u64, Error>;
        fn redrive(key: ConsumerKey<'_>, which: ParkedSelector<'_>) -> Result<u64, Error>;
        fn discard(key: ConsumerKey<'_>, which: ParkedSelector<'_>) -> Result<u64, Error>;
    }
}

/// A transaction covers effects and cursor; the messages come from elsewhere.
impl<M, S: TransactionControl> TransactionControl for MessageBus<M, S> {
    forward! { state:
        fn begin() -> Result<(), Error>;
        fn commit() -> Result<(), Error>;
        fn rollback() -> Result<(), Error>;
        fn transaction_depth() -> usize;
        fn begin_guarded() -> Result<TransactionMark, Error>;
        fn state_of(mark: &TransactionMark) -> Result<TransactionState, Error>;
        fn state_at_end(mark: &TransactionMark) -> Result<TransactionState, Error>;
        fn end_guard(mark: &TransactionMark);
    }
}

impl<M, S: TransactionControlOn<C>, C: ?Sized> TransactionControlOn<C> for MessageBus<M, S> {
    fn connection(&mut self) -> &mut C {
        self.state.connection()
    }

    fn lend<T>(&mut self, code: impl FnOnce(&mut C) -> T) -> T {
        self.state.lend(code)
    }
}
