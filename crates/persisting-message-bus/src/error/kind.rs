//! Every way to fail, with its text.

use std::fmt;

use thiserror::Error;
use uuid::Uuid;

use super::{BoxError, Class, Culprit};
use crate::{EventSet, Message, Position, StoredMessage, TransactionState};

#[derive(Debug, Error)]
pub(super) enum Kind {
    #[error("the {what} \"{}\" {problem}", shortened(.name))]
    InvalidName {
        what: &'static str,
        name: String,
        problem: String,
    },
    #[error(
        "cannot dispatch {message_type} on topic \"{topic}\": the header {header} is missing, \
         nothing was written; add the DefaultMessageDecorator or one that sets it"
    )]
    MissingHeader {
        header: &'static str,
        topic: String,
        message_type: String,
    },
    #[error(
        "cannot dispatch {message_type} on topic \"{topic}\": the message id {message_id} was \
         dispatched before, nothing was written; if that is to be expected, say \
         with_duplicates(Duplicates::Ignore)"
    )]
    Duplicate {
        message_id: Uuid,
        topic: String,
        message_type: String,
    },
    #[error(
        "cannot dispatch {message_type} on topic \"{topic}\" (message id {message_id}): it cannot \
         be written as JSON, nothing was written"
    )]
    Encode {
        topic: String,
        message_type: String,
        message_id: Uuid,
        #[source]
        cause: serde_json::Error,
    },
    #[error(
        "{expected} does not know the {at}: add a variant or an alias \
         for \"{}\"",
        at.message_type
    )]
    Unknown {
        at: Location,
        expected: &'static str,
    },
    #[error(
        "the {at} has version {version}, which is newer than the {current} that this program knows: \
         deploy a program that knows it, or skip unknown messages"
    )]
    NewerVersion {
        at: Location,
        version: u32,
        current: u32,
    },
    #[error(
        "cannot turn version {version} of the {at} into the next one: \
         correct the function in `previous(...)`"
    )]
    Upcast {
        at: Location,
        version: u32,
        #[source]
        cause: BoxError,
    },
    #[error(
        "cannot dispatch {message_type} on topic \"{topic}\" (message id {message_id}): {problem}; \
         nothing was written"
    )]
    Unstorable {
        topic: String,
        message_type: String,
        message_id: Uuid,
        problem: &'static str,
    },
    #[error(
        "cannot store {message_type} of topic \"{topic}\" (message id {message_id}, {bytes} bytes): \
         {problem}; nothing was written"
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
    #[error("cannot decode the {0}: make its struct accept what is stored")]
    Decode(Location, #[source] serde_json::Error),
    #[error("cannot decode the headers of the {0}: they have to be a JSON object")]
    DecodeHeaders(Location, #[source] serde_json::Error),
    #[error(
        "the row at position {position} of topic \"{topic}\" is not a message: correct the row"
    )]
    BrokenRow {
        topic: String,
        position: Position,
        #[source]
        cause: BoxError,
    },
    #[error(
        "there is no message at position {position} of topic \"{topic}\" that this consumer wants to \
         see: it was pruned, or the event set has changed; discard it"
    )]
    NotThere { topic: String, position: Position },
    #[error("the handler failed on the {0}")]
    Handler(Location, #[source] BoxError),
    #[error("the handler left its transaction on the {at}: {}", left_text(.state))]
    LeftTransaction {
        at: Location,
        state: TransactionState,
        #[source]
        cause: Option<BoxError>,
    },
    #[error(
        "the process that handled the {0} ended without a word while nothing else was handled in it: \
         was it killed, did it abort, or run out of memory? Its own log, and the system's, say more"
    )]
    Died(Location),
    #[error(
        "the attempt to handle the {at} was interrupted{}", class.hint()
    )]
    Interrupted {
        at: Location,
        class: Class,
        #[source]
        cause: BoxError,
    },
    #[error(
        "the message at position {position} of topic \"{topic}\" is not attempted again, because its \
         handler has ended the transaction before its end, and something of it may have taken effect: {error}"
    )]
    Final {
        topic: String,
        position: Position,
        error: String,
    },
    #[error(
        "the process that handled the redriven message at position {position} of topic \"{topic}\" ended \
         without a word while nothing else was handled in it; it is parked again"
    )]
    DiedAgain { topic: String, position: Position },
    #[error(
        "the attempts to handle the redriven message at position {position} of topic \"{topic}\" were \
         interrupted for so long that this counts as a failure; it is parked again"
    )]
    Counted {
        topic: String,
        position: Position,
        #[source]
        cause: BoxError,
    },
    #[error("a transaction is not the one that was begun any more: {}", left_text(.0))]
    TransactionLeft(TransactionState),
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
        "the before-replay hook was interrupted on topic \"{topic}\"; nothing was handled and the cursor \
         stays at the start{}", class.hint()
    )]
    HookInterrupted {
        topic: String,
        class: Class,
        #[source]
        cause: BoxError,
    },
    #[error(
        "the cursor {cursor} on topic \"{topic}\" cannot be right: positions begin at 0, and the \
         last one that was handed out is {last}. Was the message table restored or emptied? Reset \
         the consumer to where it should go on"
    )]
    BrokenCursor {
        topic: String,
        cursor: Position,
        last: Position,
    },
    #[error(
        "locked on topic \"{topic}\": {owner} holds the lease, which expires at {expires_at}; try \
         again then, or when it was released"
    )]
    Locked {
        topic: String,
        owner: String,
        expires_at: String,
    },
    #[error(
        "the lease on topic \"{topic}\" was lost: somebody else took it from {owner} (epoch \
         {epoch}), and the cursor was not stored; if handling a page takes longer than the lease, \
         make the lease longer or the page smaller"
    )]
    LeaseLost {
        topic: String,
        owner: String,
        epoch: i64,
    },
    #[error("the repository failed while {doing}{}", class.hint())]
    Repository {
        doing: String,
        class: Class,
        #[source]
        cause: BoxError,
    },
    // The cause of the first is the cause of both: see `Error::source`.
    #[error("{first}; besides, {second:#}")]
    Twofold {
        first: super::Error,
        second: super::Error,
    },
}

impl Kind {
    /// Whether the cursor stays before the message that this is about.
    pub(super) fn stays_before(&self) -> bool {
        matches!(
            self,
            Self::Unknown { .. }
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

/// Which message it was.
#[derive(Debug)]
pub(super) struct Location {
    topic: String,
    pub(super) position: Position,
    message_id: Uuid,
    message_type: String,
}

impl Location {
    pub(super) fn of_stored(message: &StoredMessage<'_>) -> Self {
        Self {
            topic: message.topic.to_owned(),
            position: message.position,
            message_id: message.message_id,
            message_type: message.message_type.to_owned(),
        }
    }

    pub(super) fn of<S: EventSet>(message: &Message<S>) -> Self {
        Self {
            topic: message.topic().to_owned(),
            position: message.position(),
            message_id: message.message_id(),
            message_type: message.message_type().to_owned(),
        }
    }
}

impl Location {
    pub(super) fn culprit(&self) -> Culprit<'_> {
        Culprit {
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

/// What became of a transaction, and what to do about it.
fn left_text(state: &TransactionState) -> String {
    match state {
        TransactionState::Open => "it is open".to_owned(),
        TransactionState::Aborted { cause } => format!(
            "it went on after this, after which the database keeps nothing of a transaction: {cause}. \
             Nothing has taken effect. Return the error, or run what may fail in a nested transaction"
        ),
        TransactionState::Ended {
            cause,
            may_be_final: false,
        } => format!(
            "the database rolled it back after this, and the error was ignored: {cause}. Nothing has \
             taken effect. Return the error"
        ),
        TransactionState::Ended { cause, .. } => format!(
            "this ended it: {cause}. What was done before a commit, or after a roll back, has taken \
             effect and cannot be undone, so that it happens twice if it is tried again. Keep statements \
             that commit by themselves (DDL, TRUNCATE, LOCK TABLES), COMMIT and ROLLBACK out of it, and \
             return errors"
        ),
    }
}

/// A name that fits on a line.
fn shortened(name: &str) -> String {
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
