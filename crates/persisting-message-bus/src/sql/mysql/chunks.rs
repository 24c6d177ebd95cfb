//! The number of messages in a statement.
//!
//! Each number has a statement text of its own, which each connection prepares once. The client
//! asks the server to prepare it, and the server describes each value, which takes nearly as long
//! as inserting the values. For each row of a prepared statement, about 4 kB are kept for the
//! lifetime of the connection. So only few numbers are used.

use crate::message::raw::RawMessage;
use crate::sql::chunks::{self, Most, bytes_of};

/// Up to this number of messages, each number has a statement.
const MAX_OF_ANY_NUMBER: usize = 32;

/// The sizes of the parts of larger batches: numbers of messages that batches often have.
const COMMON_NUMBERS: [usize; 5] = [1_000, 500, 200, 100, 50];

/// Up to this number of messages, each power of two has a statement, too, because batches often
/// have such a size.
const MAX_OF_POWERS: usize = 512;

/// Splits the messages into parts of at most `most_bytes` bytes, each of which becomes one
/// statement. If there is a statement for all messages at once, there is one part. A message that
/// is larger than a part has one of its own.
pub(super) fn in_chunks(
    messages: &[RawMessage],
    most_bytes: usize,
) -> impl Iterator<Item = &[RawMessage]> {
    let at_once = fit_into_one(messages, most_bytes).then_some(messages.len());
    let most = Most {
        rows: COMMON_NUMBERS[0],
        bytes: most_bytes,
    };
    chunks::in_chunks(messages, most, move |fitting| {
        if at_once == Some(fitting) {
            return fitting;
        }
        let many = COMMON_NUMBERS.into_iter().find(|rows| *rows <= fitting);
        many.unwrap_or(fitting.min(MAX_OF_ANY_NUMBER))
    })
}

/// Returns `true` if there is a statement for all messages at once.
pub(super) fn fit_into_one(messages: &[RawMessage], most_bytes: usize) -> bool {
    let rows = messages.len();
    let is_power = rows.is_power_of_two() && rows <= MAX_OF_POWERS;
    let is_prepared = rows <= MAX_OF_ANY_NUMBER || COMMON_NUMBERS.contains(&rows) || is_power;
    is_prepared && messages.iter().map(bytes_of).sum::<usize>() <= most_bytes
}
