use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::{Error, Lease, Position};

/// Keeps, by consumer name and topic, which messages a consumer failed on: how often, why, and which of
/// them are parked.
///
/// What names a [`Lease`] is for the consumer at work; the rest is for whoever looks after it.
pub trait MessageFailures {
    /// Notes that a message failed once more, and returns how often it has failed. Forgets the failures
    /// before it, which were overcome, except for what is parked, redriven or final. Prolongs the lease.
    ///
    /// # Errors
    ///
    /// [`Error::is_lease_lost`] when another owner has taken the lease since, and nothing was noted; or
    /// when the state cannot be read or written.
    fn record_failure(&mut self, lease: &Lease, failure: &Failure<'_>) -> Result<u32, Error>;

    /// Notes what becomes of a message whose failure was noted, gives the lease back, and moves the cursor
    /// behind it where the consumer goes on there: all at once.
    ///
    /// # Errors
    ///
    /// [`Error::is_lease_lost`] when another owner has taken the lease since, and nothing was moved; or
    /// when the state cannot be written.
    fn give_up(&mut self, lease: &Lease, position: Position, then: GiveUp) -> Result<(), Error>;

    /// Says whether a message is still to be handled again, and prolongs the lease. In a transaction, it
    /// stays so until that ends.
    ///
    /// # Errors
    ///
    /// [`Error::is_lease_lost`] when another owner has taken the lease since; or when the state cannot be
    /// written.
    fn is_redriven(
        &mut self,
        lease: &Lease,
        position: Position,
        hold: Duration,
    ) -> Result<bool, Error>;

    /// Forgets that a message is to be handled again, and says whether it was. Prolongs the lease.
    ///
    /// # Errors
    ///
    /// [`Error::is_lease_lost`] when another owner has taken the lease since, and nothing was forgotten; or
    /// when the state cannot be written.
    fn take_redriven(
        &mut self,
        lease: &Lease,
        position: Position,
        hold: Duration,
    ) -> Result<bool, Error>;

    /// A page of failed messages, lowest position first.
    ///
    /// # Errors
    ///
    /// When the state cannot be read.
    fn failed_messages(&mut self, request: &FailedPage<'_>) -> Result<Vec<FailedMessage>, Error>;

    /// How many failed messages are in a state.
    ///
    /// # Errors
    ///
    /// When the state cannot be read.
    fn count_failed(
        &mut self,
        consumer: &str,
        topic: &str,
        state: FailureState,
    ) -> Result<u64, Error>;

    /// How many messages are parked.
    ///
    /// # Errors
    ///
    /// When the state cannot be read.
    fn count_parked(&mut self, consumer: &str, topic: &str) -> Result<u64, Error> {
        self.count_failed(consumer, topic, FailureState::Parked)
    }

    /// Hands parked messages to the consumer again; returns how many. It handles them, lowest position
    /// first, before anything else that is new; what fails is parked again.
    ///
    /// # Errors
    ///
    /// When the state cannot be written.
    fn redrive(&mut self, consumer: &str, topic: &str, which: Parked<'_>) -> Result<u64, Error>;

    /// Forgets parked messages; returns how many. They stay in the repository. What waits to be handled
    /// again is not parked.
    ///
    /// # Errors
    ///
    /// When the state cannot be written.
    fn discard(&mut self, consumer: &str, topic: &str, which: Parked<'_>) -> Result<u64, Error>;
}

/// A failure to be noted.
#[derive(Debug, Clone, Copy)]
pub struct Failure<'a> {
    /// Where the message stands.
    pub position: Position,
    /// Its id; `None` where the row is no message.
    pub message_id: Option<Uuid>,
    /// The wire name of its type; `None` where the row is no message.
    pub message_type: Option<&'a str>,
    /// The error with its causes.
    pub error: &'a str,
    /// How long the lease goes on from now.
    pub hold: Duration,
    /// [`FailureState::Failing`], or [`FailureState::Parked`] or [`FailureState::Final`] where it is not tried
    /// again by itself.
    pub state: FailureState,
}

/// What becomes of a message that has failed as often as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GiveUp {
    /// The consumer stops in front of it.
    #[default]
    Stop,
    /// It is set aside with its error, to be handed to the consumer later
    /// ([`redrive`](MessageFailures::redrive)), and the consumer goes on.
    Park,
    /// The consumer goes on, and nothing remembers it but the log.
    Skip,
}

/// A message that a consumer failed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedMessage {
    /// Where it stands.
    pub position: Position,
    /// Its id; `None` where the row is no message.
    pub message_id: Option<Uuid>,
    /// The wire name of its type; `None` where the row is no message.
    pub message_type: Option<String>,
    /// What became of it.
    pub state: FailureState,
    /// How often it has failed.
    pub attempts: u32,
    /// The last error with its causes, up to 16,000 characters.
    pub error: String,
    /// When it failed for the first time, by the state's clock.
    pub first_failed_at: DateTime<Utc>,
    /// When it failed for the last time.
    pub last_failed_at: DateTime<Utc>,
}

/// What became of a message that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureState {
    /// It is tried again.
    Failing,
    /// The consumer stopped in front of it.
    Stopped,
    /// It is set aside.
    Parked,
    /// It was set aside, and is to be handled again.
    Redriven,
    /// Its handler has ended the transaction, and something of it may have taken effect: it is not attempted
    /// again, and is given up as soon as the messages before it are handled.
    Final,
}

/// Which failed messages to list.
#[derive(Debug, Clone, Copy)]
pub struct FailedPage<'a> {
    /// The consumer's name.
    pub consumer: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// Messages in this state only.
    pub state: FailureState,
    /// Messages after this position.
    pub after: Position,
    /// At most so many. Zero makes an empty page.
    pub limit: usize,
}

/// Which of the parked messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parked<'a> {
    /// All.
    All,
    /// Those of a type, by its wire name.
    OfType(&'a str),
    /// The one at this position, if it is parked.
    At(Position),
}

impl<'a> FailedPage<'a> {
    /// The first hundred parked messages.
    #[must_use]
    pub const fn of_parked(consumer: &'a str, topic: &'a str) -> Self {
        Self {
            consumer,
            topic,
            state: FailureState::Parked,
            after: Position::START,
            limit: 100,
        }
    }
}

impl FailureState {
    /// How it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Stopped => "stopped",
            Self::Parked => "parked",
            Self::Redriven => "redriven",
            Self::Final => "final",
        }
    }

    /// What is stored as `text`, if it is a state.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        let states = [
            Self::Failing,
            Self::Stopped,
            Self::Parked,
            Self::Redriven,
            Self::Final,
        ];
        states.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether the consumer stands in front of the message.
    #[must_use]
    pub const fn is_in_front(self) -> bool {
        matches!(self, Self::Failing | Self::Stopped | Self::Final)
    }
}

impl Parked<'_> {
    /// Whether a parked message is one of them.
    #[must_use]
    pub fn include(&self, message: &FailedMessage) -> bool {
        match self {
            Self::All => true,
            Self::OfType(name) => message.message_type.as_deref() == Some(name),
            Self::At(position) => message.position == *position,
        }
    }
}
