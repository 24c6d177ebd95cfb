//! How errors are made.

use std::error::Error as StdError;
use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::class::{Class, class_of};
use super::kind::{Kind, Location};
use super::{Attempt, BoxError, Error};
use crate::{
    EventSet, FailedMessage, Lease, LeaseRequest, Message, Position, RawMessage, StoredMessage,
    TransactionState,
};

/// For those who write a repository or a consumer state of their own.
impl Error {
    /// The repository failed while `doing` something, such as "reading a page of topic orders".
    /// `retryable` says whether the same call may succeed when it is made again.
    pub fn repository(
        doing: impl Into<String>,
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
        retryable: bool,
    ) -> Self {
        let class = if retryable {
            Class::Transient
        } else {
            Class::Lasting
        };
        Self::of_repository(doing, cause, class)
    }

    /// The connection was lost while `doing` something.
    pub fn disconnected(
        doing: impl Into<String>,
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::of_repository(doing, cause, Class::Disconnected)
    }

    /// Another owner holds the lease; `expires_at` by the state's clock.
    #[must_use]
    pub fn locked(
        request: &LeaseRequest<'_>,
        owner: Option<String>,
        expires_at: Option<DateTime<Utc>>,
    ) -> Self {
        let or_unknown = "unknown".to_owned();
        Self::from(Kind::Locked {
            topic: request.topic.to_owned(),
            owner: owner.unwrap_or_else(|| or_unknown.clone()),
            expires_at: expires_at.map_or(or_unknown, |time| time.to_rfc3339()),
        })
        .of_consumer(request.consumer)
    }

    /// Another owner took the lease.
    #[must_use]
    pub fn lease_lost(lease: &Lease) -> Self {
        Self::from(Kind::LeaseLost {
            topic: lease.topic.clone(),
            owner: lease.owner.clone(),
            epoch: lease.epoch,
        })
        .of_consumer(&lease.consumer)
    }

    /// The repository has a message with this id already.
    #[must_use]
    pub fn duplicate_message(message: &RawMessage) -> Self {
        Kind::Duplicate {
            message_id: message.message_id,
            topic: message.topic.to_string(),
            message_type: message.message_type.to_string(),
        }
        .into()
    }

    /// The repository does not take a message that is so large; `problem` says what its limit is, and what to
    /// do about it. The cause is what the database said, if it was asked.
    pub fn too_large(
        message: &RawMessage,
        problem: impl Into<String>,
        cause: Option<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Kind::TooLarge {
            topic: message.topic.to_string(),
            message_type: message.message_type.to_string(),
            message_id: message.message_id,
            bytes: message.payload.len() + message.headers.len(),
            problem: problem.into(),
            cause,
        }
        .into()
    }

    /// The row at `position` holds something that is no message.
    pub fn broken_row(
        topic: &str,
        position: Position,
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Kind::BrokenRow {
            topic: topic.to_owned(),
            position,
            cause: cause.into(),
        }
        .into()
    }
}

impl Error {
    /// The repository failed with a cause of that class.
    pub(crate) fn of_repository(
        doing: impl Into<String>,
        cause: impl Into<BoxError>,
        class: Class,
    ) -> Self {
        Kind::Repository {
            doing: doing.into(),
            class,
            cause: cause.into(),
        }
        .into()
    }

    pub(crate) fn invalid_name(what: &'static str, name: &str, problem: String) -> Self {
        Kind::InvalidName {
            what,
            name: name.to_owned(),
            problem,
        }
        .into()
    }

    pub(crate) fn missing_header(header: &'static str, topic: &str, message_type: &str) -> Self {
        Kind::MissingHeader {
            header,
            topic: topic.to_owned(),
            message_type: message_type.to_owned(),
        }
        .into()
    }

    pub(crate) fn encode(
        topic: &str,
        message_type: &str,
        message_id: Uuid,
        cause: serde_json::Error,
    ) -> Self {
        Kind::Encode {
            topic: topic.to_owned(),
            message_type: message_type.to_owned(),
            message_id,
            cause,
        }
        .into()
    }

    pub(crate) fn unknown_message(message: &StoredMessage<'_>, expected: &'static str) -> Self {
        let at = Location::of_stored(message);
        Kind::Unknown { at, expected }.into()
    }

    pub(crate) fn newer_version(message: &StoredMessage<'_>, current: u32) -> Self {
        Kind::NewerVersion {
            at: Location::of_stored(message),
            version: message.message_version,
            current,
        }
        .into()
    }

    pub(crate) fn upcast(message: &StoredMessage<'_>, version: u32, cause: BoxError) -> Self {
        Kind::Upcast {
            at: Location::of_stored(message),
            version,
            cause,
        }
        .into()
    }

    pub(crate) fn unstorable(message: &RawMessage, problem: &'static str) -> Self {
        Kind::Unstorable {
            topic: message.topic.to_string(),
            message_type: message.message_type.to_string(),
            message_id: message.message_id,
            problem,
        }
        .into()
    }

    pub(crate) fn decode(message: &StoredMessage<'_>, cause: serde_json::Error) -> Self {
        Kind::Decode(Location::of_stored(message), cause).into()
    }

    pub(crate) fn decode_headers<S: EventSet>(
        message: &Message<S>,
        cause: serde_json::Error,
    ) -> Self {
        Kind::DecodeHeaders(Location::of(message), cause).into()
    }

    pub(crate) fn not_there(lease: &Lease, position: Position) -> Self {
        Kind::NotThere {
            topic: lease.topic.clone(),
            position,
        }
        .into()
    }

    pub(crate) fn handler<S: EventSet>(message: &Message<S>, cause: BoxError) -> Self {
        Kind::Handler(Location::of(message), cause).into()
    }

    pub(crate) fn left_transaction<S: EventSet>(
        message: &Message<S>,
        state: TransactionState,
        cause: Option<BoxError>,
    ) -> Self {
        let at = Location::of(message);
        Kind::LeftTransaction { at, state, cause }.into()
    }

    pub(crate) fn transaction_left(state: TransactionState) -> Self {
        Kind::TransactionLeft(state).into()
    }

    pub(crate) fn died<S: EventSet>(message: &Message<S>) -> Self {
        Kind::Died(Location::of(message)).into()
    }

    /// The error of a handler: of the message, or of what may go through when it is tried again.
    pub(crate) fn of_handler<S: EventSet>(message: &Message<S>, cause: BoxError) -> Self {
        match passing_class(&cause) {
            Some(class) => Self::interrupted(message, class, cause),
            None => Self::handler(message, cause),
        }
    }

    /// The error of a before-replay hook.
    pub(crate) fn of_hook(topic: &str, cause: BoxError) -> Self {
        match passing_class(&cause) {
            Some(class) => Kind::HookInterrupted {
                topic: topic.to_owned(),
                class,
                cause,
            }
            .into(),
            None => Self::before_replay(topic, cause),
        }
    }

    /// A message that was noted as final.
    pub(crate) fn noted_final(lease: &Lease, noted: FailedMessage) -> Self {
        Kind::Final {
            topic: lease.topic.clone(),
            position: noted.position,
            error: noted.error,
        }
        .into()
    }

    pub(crate) fn died_at(lease: &Lease, position: Position) -> Self {
        let topic = lease.topic.clone();
        Kind::DiedAgain { topic, position }.into()
    }

    pub(crate) fn counted(lease: &Lease, position: Position, cause: BoxError) -> Self {
        let topic = lease.topic.clone();
        Kind::Counted {
            topic,
            position,
            cause,
        }
        .into()
    }

    pub(crate) fn interrupted<S: EventSet>(
        message: &Message<S>,
        class: Class,
        cause: BoxError,
    ) -> Self {
        let at = Location::of(message);
        Kind::Interrupted { at, class, cause }.into()
    }

    pub(crate) fn before_replay(topic: &str, cause: BoxError) -> Self {
        Kind::BeforeReplay {
            topic: topic.to_owned(),
            cause,
        }
        .into()
    }

    pub(crate) fn broken_cursor(topic: &str, cursor: Position, last: Position) -> Self {
        Kind::BrokenCursor {
            topic: topic.to_owned(),
            cursor,
            last,
        }
        .into()
    }

    /// This error, and the one that came after it while its consequences were cleared up.
    pub(crate) fn followed_by(self, mut second: Self) -> Self {
        second.0.consumer = None;
        Kind::Twofold {
            first: self,
            second,
        }
        .into()
    }

    /// This error, with how often its message was attempted, of how often it may be.
    pub(crate) fn attempted(mut self, number: u32, most: u32, wait: Duration) -> Self {
        self.0.attempt = Some(Attempt { number, most, wait });
        self
    }

    pub(crate) fn of_consumer(mut self, consumer: &str) -> Self {
        self.0.consumer.get_or_insert_with(|| consumer.to_owned());
        self
    }
}

/// What is to be expected of the application's code when it is called again, if a database has failed it that
/// may not the next time.
fn passing_class(cause: &BoxError) -> Option<Class> {
    class_of(&**cause).filter(|class| class.may_pass())
}
