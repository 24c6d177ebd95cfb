//! Errors of publishing.

use diesel::result::Error as DieselError;

use crate::error::Error;
use crate::message::raw::RawMessage;
use crate::sql::oversized;
use crate::sql::statements::duplicates::named_duplicate;

/// Returns the error of messages that were not persisted.
pub(super) fn not_persisted(cause: DieselError, messages: &[RawMessage]) -> Error {
    match named_duplicate(&cause, messages) {
        Some(duplicate) => Error::duplicate_message(duplicate),
        None => oversized::not_persisted(persisting(messages), cause, messages),
    }
}

fn persisting(messages: &[RawMessage]) -> String {
    let topic = messages.first().map_or("", |message| &message.topic);
    format!(
        "persisting {} messages of topic \"{topic}\"",
        messages.len()
    )
}
