//! The one error type of the library: opaque, with predicates to decide by and texts to read.

pub(crate) mod class;
mod construct;
mod kind;

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use uuid::Uuid;

use self::class::Class;
use self::kind::Kind;
use crate::{Position, TransactionState};

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// What went wrong, where, and what to do next.
///
/// `{}` prints this error, its [`source`](StdError::source) the cause below it. `{:#}` and `{:?}`
/// print the whole chain, so that an error returned from `main` can be read.
pub struct Error(Box<Inner>);

struct Inner {
    consumer: Option<String>,
    attempt: Option<Attempt>,
    kind: Kind,
}

/// How often a message was attempted, of how often it may be.
#[derive(Clone, Copy)]
struct Attempt {
    number: u32,
    most: u32,
    /// How long to wait for the next one.
    wait: Duration,
}

/// The message that an error is about.
pub(crate) struct Culprit<'a> {
    pub(crate) topic: &'a str,
    pub(crate) position: Position,
    pub(crate) message_id: Option<Uuid>,
    pub(crate) message_type: Option<&'a str>,
}

impl Error {
    /// Another holder has the consumer's lease. Try again after it has expired or was released.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        matches!(self.kind(), Kind::Locked { .. })
    }

    /// Another holder took the lease while this one was at work; it stored nothing since.
    #[must_use]
    pub fn is_lease_lost(&self) -> bool {
        matches!(self.kind(), Kind::LeaseLost { .. })
    }

    /// A message with that id was dispatched before.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        matches!(self.kind(), Kind::Duplicate { .. })
    }

    /// The consumer's handler or its before-replay hook returned an error, which is the
    /// [`source`](StdError::source); or it left its transaction, or ended its process.
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

    /// What is stored cannot be understood: an unknown type, a payload that does not decode, a
    /// broken row. Repeating it gives the same result.
    #[must_use]
    pub fn is_bad_message(&self) -> bool {
        matches!(
            self.kind(),
            Kind::Unknown { .. }
                | Kind::NewerVersion { .. }
                | Kind::Upcast { .. }
                | Kind::Decode(..)
                | Kind::DecodeHeaders(..)
                | Kind::BrokenRow { .. }
                | Kind::NotThere { .. }
        )
    }

    /// A message's type or version is not known to this program. Newer programs may know it.
    #[must_use]
    pub fn is_unknown_message(&self) -> bool {
        matches!(
            self.kind(),
            Kind::Unknown { .. } | Kind::NewerVersion { .. }
        )
    }

    /// The stored cursor cannot be right.
    #[must_use]
    pub fn is_broken_cursor(&self) -> bool {
        matches!(self.kind(), Kind::BrokenCursor { .. })
    }

    /// A topic, message type, consumer or header name that cannot be stored.
    #[must_use]
    pub fn is_invalid_name(&self) -> bool {
        matches!(self.kind(), Kind::InvalidName { .. })
    }

    /// No decorator set a header that every message needs.
    #[must_use]
    pub fn is_missing_header(&self) -> bool {
        matches!(self.kind(), Kind::MissingHeader { .. })
    }

    /// The same call, or inside a transaction the whole transaction, may succeed when it is made
    /// again: another writer was in the way, something was short for now, or a server could not be reached.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        let may_pass = self.class().is_some_and(Class::may_pass);
        match self.kind() {
            Kind::Locked { .. } => true,
            // Nothing is final.
            Kind::TransactionLeft(TransactionState::Ended { may_be_final, .. }) => !may_be_final,
            _ => may_pass,
        }
    }

    /// The connection to the database is lost, or of no use any more. Where that was during a commit, nobody
    /// knows whether it took effect.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        self.class() == Some(Class::Disconnected)
    }

    /// What was to be stored is larger than the database takes; the error, or its
    /// [`source`](StdError::source), names the limit. Repeating it gives the same result.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.class() == Some(Class::TooLarge)
    }

    /// Where the message stands that this is about.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.culprit().map(|message| message.position)
    }

    /// How often the message that this is about has failed, where that was noted.
    #[must_use]
    pub fn attempts(&self) -> Option<u32> {
        self.attempt().map(|attempt| attempt.number)
    }

    /// How long to wait before the message is attempted again. `None` where no attempt was counted, or
    /// this was the last one. A [`Runner`](crate::Runner) waits by itself; a loop of your own that
    /// calls [`handle_new_messages`](crate::MessageConsumer::handle_new_messages) sleeps that long.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let attempt = self
            .attempt()
            .filter(|attempt| attempt.number < attempt.most);
        attempt.map(|attempt| attempt.wait)
    }
}

impl Error {
    /// The repository failed.
    pub(crate) fn is_of_repository(&self) -> bool {
        self.class().is_some()
    }

    /// What is to be expected of the repository, if it was that.
    pub(crate) fn class(&self) -> Option<Class> {
        match self.kind() {
            Kind::Repository { class, .. }
            | Kind::Interrupted { class, .. }
            | Kind::HookInterrupted { class, .. } => Some(*class),
            Kind::TooLarge { .. } => Some(Class::TooLarge),
            _ => None,
        }
    }

    /// The message is not attempted again by itself.
    pub(crate) fn is_last_attempt(&self) -> bool {
        let attempt = self.attempt();
        attempt.is_some_and(|attempt| attempt.number >= attempt.most)
    }

    /// Who holds the lease that this one does not get, and until when.
    pub(crate) fn holder(&self) -> Option<(&str, &str)> {
        match self.kind() {
            Kind::Locked {
                owner, expires_at, ..
            } => Some((owner, expires_at)),
            _ => None,
        }
    }

    /// The before-replay hook was interrupted.
    pub(crate) fn is_hook_interruption(&self) -> bool {
        matches!(self.kind(), Kind::HookInterrupted { .. })
    }

    /// An attempt was interrupted.
    pub(crate) fn is_interruption(&self) -> bool {
        matches!(self.kind(), Kind::Interrupted { .. })
    }

    pub(crate) fn culprit(&self) -> Option<Culprit<'_>> {
        match self.kind() {
            Kind::Unknown { at, .. }
            | Kind::NewerVersion { at, .. }
            | Kind::Upcast { at, .. }
            | Kind::Decode(at, _)
            | Kind::DecodeHeaders(at, _)
            | Kind::Handler(at, _)
            | Kind::LeftTransaction { at, .. }
            | Kind::Died(at) => Some(at.culprit()),
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
            | Kind::NotThere { topic, position } => Some(Culprit {
                topic,
                position: *position,
                message_id: None,
                message_type: None,
            }),
            _ => None,
        }
    }

    /// What failed and why, without what becomes of the consumer.
    pub(crate) fn failure(&self) -> String {
        let mut text = self.0.kind.to_string();
        // A string takes everything.
        let _written = self.write_causes(&mut text);
        text
    }

    fn write_causes(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(out, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }

    fn attempt(&self) -> Option<Attempt> {
        match &self.0.kind {
            Kind::Twofold { first, .. } => self.0.attempt.or(first.attempt()),
            _ => self.0.attempt,
        }
    }

    /// What went wrong first.
    fn kind(&self) -> &Kind {
        match &self.0.kind {
            Kind::Twofold { first, .. } => first.kind(),
            kind => kind,
        }
    }
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
        Self(Box::new(Inner {
            consumer: None,
            attempt: None,
            kind,
        }))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.kind().source()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(consumer) = &self.0.consumer {
            write!(formatter, "consumer \"{consumer}\": ")?;
        }
        write!(formatter, "{}", self.0.kind)?;
        if self.0.kind.stays_before() {
            formatter.write_str("; the cursor stays before it")?;
        }
        if let Some(Attempt { number, most, .. }) = self.0.attempt {
            write!(formatter, "; attempt {number} of {most}")?;
        }
        if formatter.alternate() {
            self.write_causes(formatter)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:#}")
    }
}
