//! How many messages a statement takes.
//!
//! Each number has a text of its own, which is prepared once per connection: a client asks the server for
//! that, and the server describes each value, which takes nearly as long as to insert them. It also keeps
//! about 4 kB for each row of a prepared statement, for as long as the connection lives. So there are few
//! numbers.

use crate::RawMessage;
use crate::diesel::parts::{self, Most, bytes_of};

/// Up to here, each number of messages has a statement.
const FEW: usize = 32;

/// What more of them are split into: the numbers that batches often have.
const MANY: [usize; 5] = [1_000, 500, 200, 100, 50];

/// Up to here, powers of two are numbers that batches often have, too.
const MOST_OF_POWERS: usize = 512;

/// The messages in parts of so many bytes at most, of which each is a statement: one, if there is a statement
/// for so many. A message that is larger has one of its own.
pub(super) fn in_parts(
    messages: &[RawMessage],
    most_bytes: usize,
) -> impl Iterator<Item = &[RawMessage]> {
    let at_once = fit_into_one(messages, most_bytes).then_some(messages.len());
    let most = Most {
        rows: MANY[0],
        bytes: most_bytes,
    };
    parts::in_parts(messages, most, move |fitting| {
        if at_once == Some(fitting) {
            return fitting;
        }
        let many = MANY.into_iter().find(|rows| *rows <= fitting);
        many.unwrap_or(fitting.min(FEW))
    })
}

/// Whether there is a statement for so many rows at once.
pub(super) fn fit_into_one(messages: &[RawMessage], most_bytes: usize) -> bool {
    let rows = messages.len();
    let is_power = rows.is_power_of_two() && rows <= MOST_OF_POWERS;
    let is_prepared = rows <= FEW || MANY.contains(&rows) || is_power;
    is_prepared && messages.iter().map(bytes_of).sum::<usize>() <= most_bytes
}
