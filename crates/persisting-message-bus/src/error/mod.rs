//! The one error type of the library: opaque, with predicates for programs and texts for people.

mod about;
pub(crate) mod class;
mod construct;
mod display;
pub(crate) mod hint;
pub(crate) mod kind;

use std::error::Error as StdError;
use std::time::Duration;

use crate::error::class::Class;
use crate::error::kind::{Kind, MessageFault, TimeLeft};

/// A failure: what failed, where, and the next step.
///
/// Programs ask it by predicates, such as [`is_retryable`](Self::is_retryable), and by getters, such as
/// [`position`](Self::position). More predicates can come in later versions, so no set of them covers
/// all errors.
///
/// `{}` prints this error without its cause, which is its [`source`](StdError::source). `{:#}` and
/// `{:?}` print the whole chain, so that an error returned from `main` is readable.
pub struct Error(Box<Inner>);

struct Inner {
    consumer: Option<String>,
    /// The number of the consumer's segment.
    segment: Option<u16>,
    attempt: Option<Attempt>,
    kind: Kind,
    /// The error that came second, during the clean-up after the first.
    second: Option<Error>,
}

/// How often a message has failed, and the limit.
#[derive(Clone, Copy)]
struct Attempt {
    number: u32,
    most: u32,
    /// The delay before the next attempt.
    wait: Duration,
}

impl Error {
    /// Returns `true` if another holder has the consumer's lease. Retry after it has expired or was
    /// released.
    #[must_use]
    pub fn is_lease_held(&self) -> bool {
        matches!(self.kind(), Kind::LeaseHeld { .. })
    }

    /// Returns `true` if another holder took the lease from this one, which has stored nothing
    /// since.
    #[must_use]
    pub fn is_lease_lost(&self) -> bool {
        matches!(self.kind(), Kind::LeaseLost { .. })
    }

    /// Returns `true` if a message with the same id was dispatched before.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        matches!(self.kind(), Kind::Duplicate { .. })
    }

    /// Returns `true` if the consumer's handler or its before-replay hook returned an error, which
    /// is the [`source`](StdError::source). Also `true` if the handler left its transaction or
    /// ended its process.
    #[must_use]
    pub fn is_handler_failure(&self) -> bool {
        matches!(
            self.kind(),
            Kind::Handler(..)
                | Kind::LeftTransaction { .. }
                | Kind::Died(..)
                | Kind::DiedAgain { .. }
                | Kind::Final { .. }
                | Kind::Counted { .. }
                | Kind::BeforeReplay { .. }
        )
    }

    /// Returns `true` if a stored message cannot be read: its type is unknown or retired, its payload
    /// does not decode, or its row is broken. A retry gives the same result.
    #[must_use]
    pub fn is_bad_message(&self) -> bool {
        matches!(
            self.kind(),
            Kind::Unknown { .. }
                | Kind::NotSelected { .. }
                | Kind::Retired(..)
                | Kind::NewerVersion { .. }
                | Kind::Upcast { .. }
                | Kind::Decode(..)
                | Kind::DecodeHeaders(..)
                | Kind::BrokenRow { .. }
                | Kind::NotThere { .. }
        )
    }

    /// Returns `true` if this program does not know the type or version of a message. A newer
    /// program may know it. `false` if the type is retired.
    #[must_use]
    pub fn is_unknown_message(&self) -> bool {
        matches!(
            self.kind(),
            Kind::Unknown { .. } | Kind::NotSelected { .. } | Kind::NewerVersion { .. }
        )
    }

    /// Returns `true` if a cursor does not count in the source: its position was never assigned, the
    /// message that the consumer has passed last is not there, or the source has another name.
    /// Common causes are a database that was restored to an earlier state, emptied or replaced, and
    /// a failover that lost the last commits.
    #[must_use]
    pub fn is_broken_cursor(&self) -> bool {
        matches!(
            self.kind(),
            Kind::BrokenCursor { .. } | Kind::Unrecognised { .. } | Kind::OtherSource { .. }
        )
    }

    /// Returns `true` if the event set of a consumer is not the one with which its cursor was
    /// stored: it has grown, or another consumer has the same name.
    #[must_use]
    pub fn is_event_set_conflict(&self) -> bool {
        matches!(
            self.kind(),
            Kind::OtherEventSet { .. } | Kind::EventSetGrew { .. }
        )
    }

    /// Returns `true` if a name cannot be stored: that of a topic, message type, consumer or header,
    /// a correlation id or a key.
    #[must_use]
    pub fn is_invalid_name(&self) -> bool {
        matches!(
            self.kind(),
            Kind::InvalidName { .. } | Kind::Unstorable { is_name: true, .. }
        )
    }

    /// Returns `true` if a message could not be redriven or discarded because it is not parked.
    #[must_use]
    pub fn is_not_parked(&self) -> bool {
        matches!(self.kind(), Kind::NotParked { .. })
    }

    /// Returns `true` if a header that every message needs is missing, because no decorator has set
    /// it.
    #[must_use]
    pub fn is_missing_header(&self) -> bool {
        matches!(self.kind(), Kind::MissingHeader { .. })
    }

    /// Returns `true` if a retry of the same call can succeed. Inside a transaction, retry the
    /// whole transaction. The cause is a conflict with another transaction, a resource that has run
    /// out for the moment, or an unreachable server.
    ///
    /// ```
    /// use persisting_message_bus::memory::InMemoryMessageBus;
    /// use persisting_message_bus::{Backoff, Error, Headers, MessageDispatcher, Topic};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct OrderPlaced {}
    ///
    /// #[derive(Topic)]
    /// #[topic(name = "orders")]
    /// enum Orders { OrderPlaced(OrderPlaced) }
    ///
    /// fn with_retries<T>(mut call: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    ///     let mut failures = 0;
    ///     loop {
    ///         match call() {
    ///             Err(error) if error.is_retryable() && failures < 7 => failures += 1,
    ///             result => return result,
    ///         }
    ///         std::thread::sleep(Backoff::default().delay_after(failures));
    ///     }
    /// }
    ///
    /// let (mut bus, orders) = (InMemoryMessageBus::default(), MessageDispatcher::<Orders>::new());
    /// let id = with_retries(|| orders.dispatch(&mut bus, &OrderPlaced {}))?;
    /// let again = Headers::new().with_message_id(id);
    /// let error = orders.dispatch_with(&mut bus, &OrderPlaced {}, again).unwrap_err();
    /// assert!(error.is_duplicate() && !error.is_retryable());
    /// # Ok::<(), persisting_message_bus::Error>(())
    /// ```
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        let may_pass = self.class().is_some_and(Class::may_pass);
        match self.kind() {
            Kind::LeaseHeld { .. } | Kind::StalePage { .. } => true,
            // Nothing has taken effect.
            Kind::TransactionLeft { is_final, .. } => !is_final,
            _ => may_pass,
        }
    }

    /// Returns `true` if the connection to the database is lost or unusable. If that happened
    /// during a commit, it is unknown whether the commit took effect.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        self.class().is_some_and(Class::is_lost)
    }

    /// Returns `true` if another connection may not have this error: the connection is lost, leads to
    /// a server that cannot be used (read-only, a standby), or its session is not as it must be
    /// (isolation level, `autocommit`, `search_path`, prepared statements, an aborted transaction).
    /// The result is `false` for a conflict with another transaction, a temporarily exhausted
    /// resource and a value that is too large. It is `true` for all other errors of a database,
    /// because their cause is seldom known.
    ///
    /// Runners, feeds and coalescers abandon the connection after such an error
    /// ([`MessageSource::abandon_source`]), so that a pool does not hand it out again. A program that
    /// publishes on connections of a pool can do the same.
    ///
    /// [`MessageSource::abandon_source`]: crate::backend::MessageSource::abandon_source
    #[must_use]
    pub fn may_be_of_connection(&self) -> bool {
        match self.kind() {
            Kind::StalePage { .. } => true,
            _ => self
                .class()
                .is_some_and(|class| !matches!(class, Class::TooLarge | Class::Transient)),
        }
    }

    /// Returns `true` if a value is larger than the database can store. The error or its
    /// [`source`](StdError::source) names the limit. A retry gives the same result.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.class() == Some(Class::TooLarge)
    }
}

impl Error {
    /// Returns `true` if the repository failed.
    pub(crate) fn is_of_repository(&self) -> bool {
        self.class().is_some()
    }

    /// Returns the class of the failure, if the repository failed.
    pub(crate) fn class(&self) -> Option<Class> {
        match self.kind() {
            Kind::Repository { class, .. }
            | Kind::MissingTables { class, .. }
            | Kind::Interrupted { class, .. }
            | Kind::HookInterrupted { class, .. } => Some(*class),
            Kind::TooLarge { .. } => Some(Class::TooLarge),
            Kind::Connecting { .. } => Some(Class::Permanent),
            _ => None,
        }
    }

    /// Returns `true` if a page was read from an older state of the source, so that messages can be
    /// missing between those that were received.
    pub(crate) fn is_stale_page(&self) -> bool {
        matches!(self.kind(), Kind::StalePage { .. })
    }

    /// Returns `true` if the message is not retried automatically.
    pub(crate) fn is_last_attempt(&self) -> bool {
        let attempt = self.attempt();
        attempt.is_some_and(|attempt| attempt.number >= attempt.most)
    }

    /// Returns the lease holder and the time of expiry, if another holder has the lease.
    pub(crate) fn holder(&self) -> Option<(&str, &str)> {
        match self.kind() {
            Kind::LeaseHeld {
                owner, expires_at, ..
            } => Some((owner, expires_at)),
            _ => None,
        }
    }

    /// Returns how long the lease of another holder still lasts, if that is known.
    pub(crate) fn time_left(&self) -> Option<TimeLeft> {
        match self.kind() {
            Kind::LeaseHeld { left, .. } => *left,
            _ => None,
        }
    }

    /// Returns `true` if the before-replay hook was interrupted.
    pub(crate) fn is_hook_interruption(&self) -> bool {
        matches!(self.kind(), Kind::HookInterrupted { .. })
    }

    /// Returns `true` if an attempt was interrupted.
    pub(crate) fn is_interruption(&self) -> bool {
        matches!(self.kind(), Kind::Interrupted { .. })
    }

    pub(crate) fn failing_message(&self) -> Option<MessageFault<'_>> {
        match self.kind() {
            Kind::Unknown { at, .. }
            | Kind::NotSelected { at }
            | Kind::NewerVersion { at, .. }
            | Kind::Upcast { at, .. }
            | Kind::Decode(at, _)
            | Kind::DecodeHeaders(at, _)
            | Kind::Handler(at, _)
            | Kind::LeftTransaction { at, .. }
            | Kind::Retired(at)
            | Kind::Died(at) => Some(at.failing_message()),
            Kind::BrokenRow {
                topic, position, ..
            }
            | Kind::DiedAgain { topic, position }
            | Kind::Final {
                topic, position, ..
            }
            | Kind::Counted {
                topic, position, ..
            }
            | Kind::NotThere { topic, position } => Some(MessageFault {
                topic,
                position: *position,
                message_id: None,
                message_type: None,
            }),
            _ => None,
        }
    }

    fn attempt(&self) -> Option<Attempt> {
        self.0.attempt
    }

    pub(crate) fn into_kind(self) -> Kind {
        self.0.kind
    }

    /// Returns the failure that came first.
    fn kind(&self) -> &Kind {
        &self.0.kind
    }
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
        Self(Box::new(Inner {
            consumer: None,
            segment: None,
            attempt: None,
            kind,
            second: None,
        }))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.kind().source()
    }
}
