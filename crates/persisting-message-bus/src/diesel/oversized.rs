//! Messages that are larger than what a database takes.

use diesel::result::Error as DieselError;

use super::class::class_of_cause;
use crate::error::class::Class;
use crate::{Error, RawMessage};

/// The error of persisting messages, which names the one that is too large, if it is that.
pub(super) fn not_persisted(
    doing: impl Into<String>,
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
        count => format!(", or another one of the {count} messages that are persisted with it,"),
    };
    let problem = format!(
        "it{among} is larger than what the database takes; let the database take more \
         (max_allowed_packet on MySQL and MariaDB), or publish where to find what is so large"
    );
    Error::too_large(largest, problem, Some(cause.into()))
}
