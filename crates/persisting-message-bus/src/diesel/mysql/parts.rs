//! How many messages a statement takes.
//!
//! Each number has a text of its own, which is prepared once per connection: a client asks the server for
//! that, and the server describes each value, which takes nearly as long as to insert them. It also keeps
//! about 4 kB for each row of a prepared statement, for as long as the connection lives. So there are few
//! numbers.

use crate::RawMessage;

/// Up to here, each number of messages has a statement.
const FEW: usize = 32;

/// What more of them are split into: the numbers that batches often have.
const MANY: [usize; 5] = [1_000, 500, 200, 100, 50];

/// The most rows of a statement. More make it no faster.
const MOST_ROWS: usize = 1_024;

/// Where a statement ends, so that it stays below what servers take in one packet: 16 MiB.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// The messages in parts, of which each is a statement.
pub(super) fn in_parts(messages: &[RawMessage]) -> impl Iterator<Item = &[RawMessage]> {
    let mut rest = messages;
    std::iter::from_fn(move || {
        let (part, later) = rest.split_at(rows_of_next(rest));
        rest = later;
        (!part.is_empty()).then_some(part)
    })
}

fn rows_of_next(messages: &[RawMessage]) -> usize {
    let mut bytes = 0;
    let fitting = messages.iter().take(MANY[0]).take_while(|message| {
        let first = bytes == 0;
        bytes += bytes_of(message);
        first || bytes <= MOST_BYTES
    });
    let fitting = fitting.count();
    let many = MANY.into_iter().find(|rows| *rows <= fitting);
    many.unwrap_or(fitting.min(FEW))
}

/// Whether there is a statement for so many rows at once.
pub(super) fn fit_into_one(messages: &[RawMessage]) -> bool {
    let rows = messages.len();
    let is_prepared = rows <= FEW || MANY.contains(&rows) || rows.is_power_of_two();
    rows <= MOST_ROWS && is_prepared && messages.iter().map(bytes_of).sum::<usize>() <= MOST_BYTES
}

fn bytes_of(message: &RawMessage) -> usize {
    message.payload.len() + message.headers.len()
}
