//! Messages that are larger than a database accepts.

use diesel::result::Error as DieselError;

use crate::classify::chain::class_of_cause;
use crate::error::Error;
use crate::error::class::Class;
use crate::message::raw::RawMessage;

/// Returns the error of persisting messages. If the database rejected them for their size, the
/// error names the largest one.
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
        count => format!(", or another of the {count} messages that are persisted with it,"),
    };
    let problem = format!(
        "it{among} is larger than the database accepts; raise the limit (max_allowed_packet on \
         MySQL and MariaDB), or publish a reference to the large content"
    );
    Error::too_large(largest, problem, Some(cause.into()))
}
