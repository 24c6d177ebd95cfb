//! Creates errors.

use std::error::Error as StdError;
use std::time::Duration;

use uuid::Uuid;

use crate::error::class::Class;
use crate::error::kind::BoxError;
use crate::error::kind::{Kind, TimeLeft};
use crate::error::{Attempt, Error};
use crate::position::Position;

/// For implementations of a repository or a consumer state outside of this crate.
impl Error {
    /// Creates the error of a store that failed during `operation`, for example "reading a page of
    /// topic orders". The same call can succeed when it is retried
    /// ([`is_retryable`](Self::is_retryable)).
    pub fn transient(operation: impl Into<String>, cause: impl Into<BoxError>) -> Self {
        Self::of_repository(operation, cause, Class::Transient)
    }

    /// Creates the error of a store that failed during `operation`. The same call would fail again.
    pub fn permanent(operation: impl Into<String>, cause: impl Into<BoxError>) -> Self {
        Self::of_repository(operation, cause, Class::Permanent)
    }

    /// Creates the error of a connection that was lost while `doing` something.
    pub fn disconnected(
        doing: impl Into<String>,
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::of_repository(doing, cause, Class::Disconnected)
    }

    /// Creates the error of a row at `position` that does not hold a valid message.
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
    /// Creates the error of a repository that failed with a cause of this class.
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

    /// Creates the error of a consumer that got no connection. `needed` is the number of connections
    /// that the consumers of its runner need, if a pool may have too few.
    pub(crate) fn connecting(needed: Option<usize>, cause: BoxError) -> Self {
        Kind::Connecting { needed, cause }.into()
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

    pub(crate) fn set_time_left(&mut self, time_left: TimeLeft) {
        if let Kind::LeaseHeld { left, .. } = &mut self.0.kind {
            *left = Some(time_left);
        }
    }

    /// Returns this error together with a second error, which came after it during the clean-up.
    pub(crate) fn followed_by(mut self, mut second: Self) -> Self {
        (second.0.consumer, second.0.segment) = (None, None);
        self.0.second = Some(match self.0.second.take() {
            Some(earlier) => earlier.followed_by(second),
            None => second,
        });
        self
    }

    /// Returns this error with the number of failed attempts of its message, and the limit.
    pub(crate) fn attempted(mut self, number: u32, most: u32, wait: Duration) -> Self {
        self.0.attempt = Some(Attempt { number, most, wait });
        self
    }

    pub(crate) fn of_consumer(mut self, consumer: &str) -> Self {
        self.0.consumer.get_or_insert_with(|| consumer.to_owned());
        self
    }

    /// Returns this error with the number of the consumer's segment, if it has one.
    pub(crate) fn of_segment(mut self, segment: Option<u16>) -> Self {
        self.0.segment = self.0.segment.or(segment);
        self
    }
}

/// For databases in SQL.
#[cfg(any(
    feature = "sqlite",
    feature = "postgres_backend",
    feature = "mysql_backend"
))]
impl Error {
    /// Creates the error of an operation that needs tables that are missing.
    pub(crate) fn tables_missing(doing: &str, missing: String, next: &'static str) -> Self {
        let (doing, class) = (doing.to_owned(), Class::Permanent);
        Kind::MissingTables {
            doing,
            class,
            missing,
            next,
            cause: None,
        }
        .into()
    }

    /// Returns this error of a repository with the tables that are missing.
    pub(crate) fn because_missing(mut self, missing: String, next: &'static str) -> Self {
        self.0.kind = match self.0.kind {
            Kind::Repository {
                doing,
                class,
                cause,
            } => Kind::MissingTables {
                doing,
                class,
                missing,
                next,
                cause: Some(cause),
            },
            kind => kind,
        };
        self
    }
}
