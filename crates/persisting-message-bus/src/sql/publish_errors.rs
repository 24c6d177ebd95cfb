//! Errors of publishing.

use diesel::result::Error as DieselError;

use crate::classify::chain::class_of_cause;
use crate::error::Error;
use crate::error::class::Class;
use crate::message::raw::RawMessage;
#[cfg(any(feature = "postgres_backend", feature = "mysql_backend"))]
use crate::sql::statements::duplicates::named_duplicate;

/// Returns the error of messages that were not persisted, on a database that names a duplicate in
/// its error.
#[cfg(any(feature = "postgres_backend", feature = "mysql_backend"))]
pub(super) fn not_persisted(cause: DieselError, messages: &[RawMessage]) -> Error {
    match named_duplicate(&cause, messages) {
        Some(duplicate) => Error::duplicate_message(duplicate),
        None => failed_persisting(persisting(messages), cause, messages),
    }
}

#[cfg(any(feature = "sqlite", feature = "postgres_backend"))]
impl Error {
    /// Creates the error of a message that the database has not stored, without an error, although
    /// its id is not there. `reason` says what the database may have dropped the row for; it can be
    /// empty.
    pub(in crate::sql) fn dropped_by_database(message: &RawMessage, reason: &str) -> Self {
        let (id, name) = (message.message_id, &message.message_type);
        let doing = format!(
            "persisting {name} on topic \"{}\" (message id {id})",
            message.topic
        );
        let reason = match reason {
            "" => "look for a trigger, a rule or a row security policy that drops or hides rows",
            reason => reason,
        };
        let problem = format!(
            "the database dropped the row without an error, because the message id is not in the \
             table: {reason}"
        );
        Self::permanent(doing, problem)
    }
}

/// Returns what failed: persisting these messages.
pub(super) fn persisting(messages: &[RawMessage]) -> String {
    let topic = messages.first().map_or("", |message| &message.topic);
    let count = messages.len();
    format!("persisting {count} messages of topic \"{topic}\"")
}

/// Returns the error of persisting messages that are no duplicates. If the database rejected them
/// for their size, the error names the largest one.
pub(super) fn failed_persisting(
    doing: String,
    cause: DieselError,
    messages: &[RawMessage],
) -> Error {
    let class = class_of_cause(&cause);
    let largest = messages.iter().max_by_key(|message| message.payload.len());
    let (Class::TooLarge, Some(largest)) = (class, largest) else {
        return Error::of_repository(doing, cause, class);
    };
    let among = match messages.len() {
        1 => String::new(),
        count => format!(", or another of the {count} messages that are persisted with it,"),
    };
    let problem = format!(
        "it{among} is larger than the database accepts; raise the limit (max_allowed_packet on \
         MySQL and MariaDB), or publish a reference to the large content"
    );
    Error::too_large(largest, problem, Some(cause.into()))
}
