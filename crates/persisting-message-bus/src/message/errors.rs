//! Errors about a message: they name its topic, position, id and type.

use std::error::Error as StdError;

use crate::error::Error;
use crate::error::kind::BoxError;
use crate::error::kind::{Kind, Location};
use crate::message::raw::{RawMessage, StoredMessage};
use crate::message::topic::EventSet;
use crate::message::typed::Message;

/// For backends.
impl Error {
    /// Creates the error of a message whose id the repository already has.
    #[must_use]
    pub fn duplicate_message(message: &RawMessage) -> Self {
        Kind::Duplicate {
            message_id: message.message_id,
            topic: message.topic.to_string(),
            message_type: message.message_type.to_string(),
        }
        .into()
    }

    /// Creates the error of a message that is too large for the repository. `problem` states the
    /// limit and the next step. `cause` is the database's error, if the database was asked.
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
}

impl Error {
    /// Creates the error of a message that some backend could not keep or return.
    pub(crate) fn unstorable(message: &RawMessage, problem: impl Into<String>) -> Self {
        Kind::Unstorable {
            topic: message.topic.to_string(),
            message_type: message.message_type.to_string(),
            message_id: message.message_id,
            problem: problem.into(),
            is_name: false,
        }
        .into()
    }

    /// Creates the error of a message with an invalid name, from the error of the name.
    pub(crate) fn unstorable_name(message: &RawMessage, invalid: &Self) -> Self {
        Kind::Unstorable {
            topic: message.topic.to_string(),
            message_type: message.message_type.to_string(),
            message_id: message.message_id,
            problem: invalid.to_string(),
            is_name: true,
        }
        .into()
    }

    /// Creates the error of a message whose JSON its type cannot read.
    pub(crate) fn unreadable(message: &RawMessage, cause: BoxError) -> Self {
        Kind::Unreadable {
            topic: message.topic.to_string(),
            message_type: message.message_type.to_string(),
            message_id: message.message_id,
            cause,
        }
        .into()
    }

    /// Returns the reason why a message does not decode, without its place.
    pub(crate) fn into_cause_of_decoding(self) -> BoxError {
        match self.into_kind() {
            Kind::Decode(_, cause) => cause.into(),
            kind => Self::from(kind).into(),
        }
    }

    pub(crate) fn unknown_message(message: &StoredMessage<'_>, expected: &'static str) -> Self {
        let at = Location::of_stored(message);
        Kind::Unknown { at, expected }.into()
    }

    /// Creates the error of a message that the event set of this program does not select, but that
    /// of another program of the same consumer's name.
    pub(crate) fn not_selected(message: &StoredMessage<'_>) -> Self {
        let at = Location::of_stored(message);
        Kind::NotSelected { at }.into()
    }

    pub(crate) fn retired_message(message: &StoredMessage<'_>) -> Self {
        Kind::Retired(Location::of_stored(message)).into()
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

    pub(crate) fn decode(message: &StoredMessage<'_>, cause: serde_json::Error) -> Self {
        Kind::Decode(Location::of_stored(message), cause).into()
    }

    pub(crate) fn decode_headers<S: EventSet>(
        message: &Message<S>,
        cause: serde_json::Error,
    ) -> Self {
        Kind::DecodeHeaders(Location::of(message), cause).into()
    }
}

impl Location {
    fn of_stored(message: &StoredMessage<'_>) -> Self {
        Self {
            topic: message.topic.to_owned(),
            position: message.position,
            message_id: message.message_id,
            message_type: message.message_type.to_owned(),
        }
    }

    pub(crate) fn of<S: EventSet>(message: &Message<S>) -> Self {
        Self {
            topic: message.topic().to_owned(),
            position: message.position(),
            message_id: message.message_id(),
            message_type: message.message_type().to_owned(),
        }
    }
}
