use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::error::Error;
use crate::position::Position;
use crate::store::key::ConsumerKey;
use crate::store::lease::Lease;
use crate::store::part::SlotRange;
use crate::store::place::MessageAt;

/// Keeps, by consumer name and topic, the messages that a consumer failed on: how often, why, and
/// which of them are parked.
///
/// Methods that take a [`Lease`] are called by the running consumer; the others are for operators.
///
/// ```
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::operate::{
///     ConsumerKey, FailedMessagesRequest, MessageFailures, ParkedSelector,
/// };
/// use persisting_message_bus::prelude::*;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderPlaced {}
///
/// #[derive(Topic)]
/// #[topic(name = "orders")]
/// enum Orders { OrderPlaced(OrderPlaced) }
///
/// let mut bus = InMemoryMessageBus::default();
/// MessageDispatcher::<Orders>::new().dispatch_batch(&mut bus, [OrderPlaced {}, OrderPlaced {}])?;
/// let park = RetryPolicy::default().max_attempts(1).on_exhausted(FailurePolicy::Park);
/// let failing = |_: &Message<Orders>| Err("out of stock".into());
/// let mut mailer = MessageConsumer::<Orders>::external("mailer", failing).retry(park);
/// mailer.handle_new_messages(&mut bus)?;
///
/// let key = ConsumerKey::on::<Orders>("mailer");
/// let parked = bus.failed_messages(&FailedMessagesRequest::of_parked(key))?;
/// assert!(parked.iter().all(|failed| failed.error.contains("out of stock")));
/// assert_eq!(bus.discard(key, ParkedSelector::At(parked[0].position))?, 1);
/// assert_eq!(bus.redrive(key, ParkedSelector::All)?, 1);
/// let mut corrected = MessageConsumer::<Orders>::external("mailer", |_: &Message<Orders>| Ok(()));
/// assert_eq!(corrected.handle_new_messages(&mut bus)?, 1);
/// assert_eq!(bus.count_parked(key)?, 0);
/// # Ok::<(), persisting_message_bus::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not keep failed messages",
    label = "not a connection",
    note = "pass a Diesel connection: from a pool, `&mut pool.get()?`; from a mutex, `&mut *guard`; with other table names, `&mut schema.bind(&mut connection)`",
    note = "for `PgConnection`, `SqliteConnection` or `MysqlConnection`, turn on the feature `postgres`, `sqlite` or `mysql` of `persisting-message-bus`; for pooled connections, also `r2d2`"
)]
pub trait MessageFailures {
    /// Records one more failure of a message, and returns how often it has failed. A message that
    /// is [unknown](FailureState::Unknown) has not failed, so its number stays. Forgets failures
    /// before it, because the consumer has overcome them; parked, redriven and final messages stay.
    /// Renews the lease.
    ///
    /// # Errors
    ///
    /// - [`Error::is_lease_lost`] if another owner has taken the lease since. Nothing was recorded.
    /// - If the state cannot be read or written.
    fn record_failure(&mut self, lease: &Lease, failure: &NewFailure<'_>) -> Result<u32, Error>;

    /// Applies the failure policy `then` to a message whose failure was recorded, and releases the
    /// lease. Moves the cursor to the message if the consumer continues after it. All changes take
    /// effect together.
    ///
    /// # Errors
    ///
    /// - [`Error::is_lease_lost`] if another owner has taken the lease since. Nothing was moved.
    /// - If the state cannot be written.
    fn give_up(
        &mut self,
        lease: &Lease,
        message: MessageAt,
        then: FailurePolicy,
    ) -> Result<(), Error>;

    /// Returns `true` if a redriven message still waits to be handled, and renews the lease. Inside
    /// a transaction, the answer holds until the transaction ends.
    ///
    /// # Errors
    ///
    /// - [`Error::is_lease_lost`] if another owner has taken the lease since.
    /// - If the state cannot be written.
    fn is_redriven(
        &mut self,
        lease: &Lease,
        position: Position,
        extend_lease: Duration,
    ) -> Result<bool, Error>;

    /// Forgets a redriven message; returns `true` if it was there. Renews the lease.
    ///
    /// # Errors
    ///
    /// - [`Error::is_lease_lost`] if another owner has taken the lease since. Nothing was
    ///   forgotten.
    /// - If the state cannot be written.
    fn take_redriven(
        &mut self,
        lease: &Lease,
        position: Position,
        extend_lease: Duration,
    ) -> Result<bool, Error>;

    /// Returns a page of failed messages, lowest position first.
    ///
    /// # Errors
    ///
    /// If the state cannot be read.
    fn failed_messages(
        &mut self,
        request: &FailedMessagesRequest<'_>,
    ) -> Result<Vec<FailedMessage>, Error>;

    /// Counts the failed messages in a state.
    ///
    /// # Errors
    ///
    /// If the state cannot be read.
    fn count_failed(&mut self, key: ConsumerKey<'_>, state: FailureState) -> Result<u64, Error>;

    /// Counts the parked messages.
    ///
    /// # Errors
    ///
    /// If the state cannot be read.
    fn count_parked(&mut self, key: ConsumerKey<'_>) -> Result<u64, Error> {
        self.count_failed(key, FailureState::Parked)
    }

    /// Hands parked messages to the consumer again; returns their number. The consumer handles them
    /// before any new message, lowest position first. A message that fails again is parked again.
    ///
    /// # Errors
    ///
    /// - [`Error::is_not_parked`] if [`ParkedSelector::At`] selects a message that is not parked. The
    ///   error states the reason, for example that the consumer has stopped before the message, and
    ///   the next step.
    /// - If the state cannot be written.
    fn redrive(&mut self, key: ConsumerKey<'_>, which: ParkedSelector<'_>) -> Result<u64, Error>;

    /// Forgets parked messages; returns their number. The messages stay in the repository. Redriven
    /// messages are not parked, so they are not discarded.
    ///
    /// # Errors
    ///
    /// Those of [`redrive`](Self::redrive).
    fn discard(&mut self, key: ConsumerKey<'_>, which: ParkedSelector<'_>) -> Result<u64, Error>;
}

/// A failure to be recorded.
#[derive(Debug, Clone, Copy)]
pub struct NewFailure<'a> {
    /// The position of the message.
    pub position: Position,
    /// Its id; `None` if the row does not hold a valid message.
    pub message_id: Option<Uuid>,
    /// The wire name of its type; `None` if the row does not hold a valid message.
    pub message_type: Option<&'a str>,
    /// The error with its causes.
    pub error: &'a str,
    /// The duration of the lease from now on.
    pub extend_lease: Duration,
    /// [`FailureState::Failing`] if the message is retried. Otherwise [`FailureState::Unknown`],
    /// [`FailureState::Parked`] or [`FailureState::Final`].
    pub state: FailureState,
}

/// What happens to a message that has failed as often as allowed.
///
/// ```
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::prelude::*;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderPlaced { order: i32 }
///
/// #[derive(Topic)]
/// #[topic(name = "orders")]
/// enum Orders { OrderPlaced(OrderPlaced) }
///
/// let mut bus = InMemoryMessageBus::default();
/// let placed = (1..=3).map(|order| OrderPlaced { order });
/// MessageDispatcher::<Orders>::new().dispatch_batch(&mut bus, placed)?;
///
/// let skip = RetryPolicy::default().max_attempts(1).on_exhausted(FailurePolicy::Skip);
/// let fails_on_2 = |message: &Message<Orders>| match message.payload() {
///     Orders::OrderPlaced(placed) if placed.order == 2 => Err("out of stock".into()),
///     Orders::OrderPlaced(_) => Ok(()),
/// };
/// let mut consumer = MessageConsumer::<Orders>::external("statistics", fails_on_2).retry(skip);
/// assert_eq!(consumer.handle_new_messages(&mut bus)?, 2);
/// assert_eq!(consumer.skipped_messages(), 1);
/// # Ok::<(), persisting_message_bus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FailurePolicy {
    /// The consumer stops before the message.
    #[default]
    Stop,
    /// The message is set aside with its error, and the consumer continues. It can be handed to the
    /// consumer later ([`redrive`](MessageFailures::redrive)).
    Park,
    /// The consumer continues, and only the log records the message.
    Skip,
}

/// A message that a consumer failed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedMessage {
    /// Its position.
    pub position: Position,
    /// Its id; `None` if the row does not hold a valid message.
    pub message_id: Option<Uuid>,
    /// The wire name of its type; `None` if the row does not hold a valid message.
    pub message_type: Option<String>,
    /// Its state.
    pub state: FailureState,
    /// How often it has failed.
    pub attempts: u32,
    /// The last error with its causes, up to 16,000 characters.
    pub error: String,
    /// The time of its first failure, by the state's clock.
    pub first_failed_at: DateTime<Utc>,
    /// The time of its last failure.
    pub last_failed_at: DateTime<Utc>,
}

impl FailedMessage {
    /// Returns `true` if its type is one of these.
    pub(crate) fn is_of_type(&self, names: &[&str]) -> bool {
        let name = self.message_type.as_deref();
        name.is_some_and(|name| names.contains(&name))
    }
}

/// The state of a message that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureState {
    /// It is retried.
    Failing,
    /// The consumer stopped before it.
    Stopped,
    /// It is set aside.
    Parked,
    /// It was set aside, and waits to be handled again.
    Redriven,
    /// The program that met it does not know its type or its version. The consumer waits before it.
    Unknown,
    /// Its handler has ended the transaction, and some of its effects may be committed. It is not
    /// attempted again: the failure policy applies as soon as the messages before it are handled.
    Final,
}

/// Which failed messages to list.
#[derive(Debug, Clone, Copy)]
pub struct FailedMessagesRequest<'a> {
    /// The consumer's name.
    pub consumer: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// Only messages in this state.
    pub state: FailureState,
    /// Only messages of these slots; `None` for all. Only a consumer that is divided has slots.
    pub slots: Option<SlotRange>,
    /// Only messages after this position.
    pub after: Position,
    /// The maximum number of messages. Zero returns an empty page.
    pub limit: usize,
}

/// Selects parked messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParkedSelector<'a> {
    /// All parked messages.
    All,
    /// The parked messages of a type, by its wire name.
    OfType(&'a str),
    /// The message at this position. It is an error if that message is not parked.
    At(Position),
}

impl<'a> FailedMessagesRequest<'a> {
    /// Returns the consumer and its topic.
    #[must_use]
    pub const fn key(&self) -> ConsumerKey<'a> {
        ConsumerKey {
            consumer: self.consumer,
            topic: self.topic,
        }
    }

    /// Creates a request for the first 100 parked messages.
    #[must_use]
    pub const fn of_parked(key: ConsumerKey<'a>) -> Self {
        Self {
            consumer: key.consumer,
            topic: key.topic,
            state: FailureState::Parked,
            slots: None,
            after: Position::START,
            limit: 100,
        }
    }
}

impl FailedMessage {
    /// Returns `true` if a message with that id is not the one that failed.
    pub(crate) fn is_of_another_than(&self, message_id: Uuid) -> bool {
        self.message_id.is_some_and(|failed| failed != message_id)
    }
}

impl FailureState {
    /// Returns the stored form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Stopped => "stopped",
            Self::Parked => "parked",
            Self::Redriven => "redriven",
            Self::Unknown => "unknown",
            Self::Final => "final",
        }
    }

    /// Reads the stored form; returns `None` if `text` is not a state.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        let states = [
            Self::Failing,
            Self::Stopped,
            Self::Parked,
            Self::Redriven,
            Self::Unknown,
            Self::Final,
        ];
        states.into_iter().find(|state| state.as_str() == text)
    }

    /// Returns `true` if the consumer stands before the message.
    #[must_use]
    pub const fn is_in_front(self) -> bool {
        matches!(
            self,
            Self::Failing | Self::Stopped | Self::Unknown | Self::Final
        )
    }
}

impl ParkedSelector<'_> {
    /// Returns `true` if a parked message is selected.
    #[must_use]
    pub fn include(&self, message: &FailedMessage) -> bool {
        match self {
            Self::All => true,
            Self::OfType(name) => message.message_type.as_deref() == Some(name),
            Self::At(position) => message.position == *position,
        }
    }
}
