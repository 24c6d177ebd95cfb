//! Errors of publishing.

use diesel::result::Error as DieselError;

use crate::error::Error;
use crate::message::raw::RawMessage;
use crate::sql::oversized;
use crate::sql::statements::duplicates::named_duplicate;

/// Returns the error of messages that were not persisted.
pub(super) fn not_persisted(cause: DieselError, messages: &[RawMessage]) -> Error {
    if let Some(duplicate) = named_duplicate(&cause, messages) {
        return Error::duplicate_message(duplicate);
    }
    let topic = messages.first().map_or("", |message| &message.topic);
    let count = messages.len();
    let doing = format!("persisting {count} messages of topic \"{topic}\"");
    oversized::not_persisted(doing, cause, messages)
}
