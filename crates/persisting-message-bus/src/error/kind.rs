//! Every kind of failure, with its text.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use thiserror::Error;
use uuid::Uuid;

use crate::error::class::Class;
use crate::position::Position;

/// The cause of an error, of any type.
pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

#[derive(Debug, Error)]
pub(crate) enum Kind {
    #[error("the {what} \"{}\" {problem}", shortened(.name))]
    InvalidName {
        what: &'static str,
        name: String,
        problem: String,
    },
    #[error(
        "cannot dispatch {message_type} on topic \"{topic}\": the header {header} is missing; \
         nothing was written"
    )]
    MissingHeader {
        header: &'static str,
        topic: String,
        message_type: String,
    },
    #[error(
        "cannot dispatch {message_type} on topic \"{topic}\": the message id {message_id} was \
         dispatched before; nothing was written"
    )]
    Duplicate {
        message_id: Uuid,
        topic: String,
        message_type: String,
    },
    #[error(
        "cannot dispatch {message_type} on topic \"{topic}\" (message id {message_id}): it cannot \
         be written as JSON; nothing was written"
    )]
    Encode {
        topic: String,
        message_type: String,
        message_id: Uuid,
        #[source]
        cause: serde_json::Error,
    },
    #[error(
        "cannot dispatch {message_type} on topic \"{topic}\" (message id {message_id}): its \
         `Deserialize` cannot read the JSON that its `Serialize` has written, so that no consumer \
         could handle it; nothing was written"
    )]
    Unreadable {
        topic: String,
        message_type: String,
        message_id: Uuid,
        #[source]
        cause: BoxError,
    },
    #[error("{expected} does not know the {at}")]
    Unknown {
        at: Location,
        expected: &'static str,
    },
    #[error("the type of the {0} is retired")]
    Retired(Location),
    #[error("only another program of this consumer's name reads the {at}")]
    NotSelected { at: Location },
    #[error("the {at} has version {version}, but this program knows versions up to {current}")]
    NewerVersion {
        at: Location,
        version: u32,
        current: u32,
    },
    #[error("cannot convert version {version} of the {at} to the next version")]
    Upcast {
        at: Location,
        version: u32,
        #[source]
        cause: BoxError,
    },
    #[error(
        "cannot dispatch {} on topic \"{}\" (message id {message_id}): {problem}; nothing was \
         written",
        shortened(.message_type), shortened(.topic)
    )]
    Unstorable {
        topic: String,
        message_type: String,
        message_id: Uuid,
        problem: String,
        /// Whether the problem is a name.
        is_name: bool,
    },
    #[error(
        "cannot store {message_type} of topic \"{topic}\" (message id {message_id}, \
         {bytes} bytes): {problem}; nothing was written"
    )]
    TooLarge {
        topic: String,
        message_type: String,
        message_id: Uuid,
        bytes: usize,
        problem: String,
        #[source]
        cause: Option<BoxError>,
    },
    #[error("cannot decode the {0}")]
    Decode(Location, #[source] serde_json::Error),
    #[error("cannot decode the headers of the {0}: they must be a JSON object")]
    DecodeHeaders(Location, #[source] serde_json::Error),
    #[error("the row at position {position} of topic \"{topic}\" is not a message")]
    BrokenRow {
        topic: String,
        position: Position,
        #[source]
        cause: BoxError,
    },
    #[error(
        "the message at position {position} of topic \"{topic}\" is no longer available to this \
         consumer: it was pruned, the event set has changed, or the database was restored"
    )]
    NotThere { topic: String, position: Position },
    #[error(
        "the message at position {position} of topic \"{topic}\" is not parked: {found}; nothing was \
         changed"
    )]
    NotParked {
        topic: String,
        position: Position,
        found: &'static str,
        next: &'static str,
    },
    #[error("the handler failed on the {0}")]
    Handler(Location, #[source] BoxError),
    #[error("the handler left its transaction while it handled the {at}: {left}")]
    LeftTransaction {
        at: Location,
        left: String,
        #[source]
        cause: Option<BoxError>,
    },
    #[error("the process ended unexpectedly while it handled the {0} and nothing else")]
    Died(Location),
    #[error("the attempt to handle the {at} was interrupted")]
    Interrupted {
        at: Location,
        class: Class,
        #[source]
        cause: BoxError,
    },
    #[error(
        "the message at position {position} of topic \"{topic}\" is not attempted again, because \
         its handler has ended the transaction early, and some of its changes may have taken \
         effect: {error}"
    )]
    Final {
        topic: String,
        position: Position,
        error: String,
    },
    #[error(
        "the process ended unexpectedly while it handled the redriven message at position \
         {position} of topic \"{topic}\" and nothing else; the message is parked again"
    )]
    DiedAgain { topic: String, position: Position },
    #[error(
        "the attempts to handle the redriven message at position {position} of topic \"{topic}\" \
         were interrupted for so long that this counts as a failure; the message is parked again"
    )]
    Counted {
        topic: String,
        position: Position,
        #[source]
        cause: BoxError,
    },
    #[error("the transaction is no longer the one that was begun: {left}")]
    TransactionLeft { left: String, is_final: bool },
    #[error(
        "the before-replay hook failed on topic \"{topic}\"; nothing was handled and the cursor \
         stays at the start"
    )]
    BeforeReplay {
        topic: String,
        #[source]
        cause: BoxError,
    },
    #[error(
        "the before-replay hook was interrupted on topic \"{topic}\"; nothing was handled and the \
         cursor stays at the start"
    )]
    HookInterrupted {
        topic: String,
        class: Class,
        #[source]
        cause: BoxError,
    },
    #[error(
        "the cursor {cursor} on topic \"{topic}\" is invalid: it must be between 0 and {last}, the \
         highest position that was ever assigned"
    )]
    BrokenCursor {
        topic: String,
        cursor: Position,
        last: Position,
    },
    #[error(
        "the source of topic \"{topic}\" is not the one that the consumer has read: the last message \
         that it has passed is {expected} at position {position}, but {} there; nothing was handled",
        match .found {
            Some(found) => format!("{found} is"),
            None => "no message is".to_owned(),
        }
    )]
    Unrecognised {
        topic: String,
        position: Position,
        expected: Uuid,
        found: Option<Uuid>,
    },
    #[error(
        "the page of topic \"{topic}\" after position {after} does not contain all messages up to \
         position {head}, so it was read from an older state of the source; nothing was handled"
    )]
    StalePage {
        topic: String,
        after: Position,
        head: Position,
    },
    #[error(
        "the cursor on topic \"{topic}\" counts in {}, but this consumer reads from {}; nothing was \
         handled",
        named(.stored.as_deref()), named(.found.as_deref())
    )]
    OtherSource {
        topic: String,
        stored: Option<String>,
        found: Option<String>,
    },
    #[error(
        "this consumer reads {own}, but the cursor of its name was stored by a consumer that reads \
         {stored}; nothing was handled"
    )]
    OtherEventSet { stored: String, own: String },
    #[error(
        "the event set has grown: this consumer reads {own}, and the cursor of its name was stored \
         by a consumer that reads {stored}, so earlier messages of the added types were not \
         handled; nothing was handled now"
    )]
    EventSetGrew { stored: String, own: String },
    #[error(
        "cannot acquire the lease on topic \"{topic}\": it is held by owner {owner} and expires at \
         {expires_at}"
    )]
    LeaseHeld {
        topic: String,
        owner: String,
        expires_at: String,
        left: Option<TimeLeft>,
    },
    #[error(
        "the lease on topic \"{topic}\" was lost: {owner} no longer holds it (epoch {epoch}), \
         because it expired and another holder took it, or it was released; nothing was stored"
    )]
    LeaseLost {
        topic: String,
        owner: String,
        epoch: i64,
    },
    #[cfg_attr(
        not(any(
            feature = "sqlite",
            feature = "postgres_backend",
            feature = "mysql_backend"
        )),
        expect(dead_code, reason = "only databases in SQL have tables")
    )]
    #[error("the repository failed while {doing}: {missing}")]
    MissingTables {
        doing: String,
        class: Class,
        /// The tables, and where they were looked for.
        missing: String,
        next: &'static str,
        #[source]
        cause: Option<BoxError>,
    },
    #[error("the repository failed while connecting")]
    Connecting {
        /// The number of connections that the consumers of the runner need, if a pool may have too
        /// few.
        needed: Option<usize>,
        #[source]
        cause: BoxError,
    },
    #[error("the repository failed while {doing}")]
    Repository {
        doing: String,
        class: Class,
        #[source]
        cause: BoxError,
    },
}

/// How long another holder's lease still lasts, by the clock that it was written with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeLeft {
    pub(crate) left: Duration,
    /// Whether no holder with a usual lease duration would have written that end.
    pub(crate) is_late: bool,
}

impl Kind {
    /// Returns `true` if the cursor stays before the message that the error is about.
    pub(super) fn stays_before(&self) -> bool {
        matches!(
            self,
            Self::Unknown { .. }
                | Self::NotSelected { .. }
                | Self::Retired(..)
                | Self::NewerVersion { .. }
                | Self::Upcast { .. }
                | Self::Decode(..)
                | Self::BrokenRow { .. }
                | Self::Handler(..)
                | Self::LeftTransaction { .. }
                | Self::Died(..)
        )
    }
}

/// The message that an error is about.
pub(crate) struct MessageFault<'a> {
    pub(crate) topic: &'a str,
    pub(crate) position: Position,
    pub(crate) message_id: Option<Uuid>,
    pub(crate) message_type: Option<&'a str>,
}

/// Identifies a message in the text of an error.
#[derive(Debug)]
pub(crate) struct Location {
    pub(crate) topic: String,
    pub(crate) position: Position,
    pub(crate) message_id: Uuid,
    pub(crate) message_type: String,
}

impl Location {
    pub(super) fn failing_message(&self) -> MessageFault<'_> {
        MessageFault {
            topic: &self.topic,
            position: self.position,
            message_id: Some(self.message_id),
            message_type: Some(&self.message_type),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} at position {} of topic \"{}\" (message id {})",
            shortened(&self.message_type),
            self.position,
            shortened(&self.topic),
            self.message_id
        )
    }
}

/// Returns the name of a source, for the text of an error.
fn named(source: Option<&str>) -> String {
    match source {
        Some(name) => format!("the source \"{name}\""),
        None => "the database that keeps the consumer state".to_owned(),
    }
}

/// Returns a name that fits on a line.
pub(crate) fn shortened(name: &str) -> String {
    const SHOWN: usize = 60;
    let mut characters = name.chars();
    let mut text: String = characters
        .by_ref()
        .take(SHOWN)
        .flat_map(char::escape_debug)
        .collect();
    if characters.next().is_some() {
        text.push('…');
    }
    text
}
