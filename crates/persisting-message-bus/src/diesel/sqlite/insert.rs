use diesel::Connection;
use diesel::result::QueryResult;
use diesel::sqlite::Sqlite;

use super::insert_messages::insert_messages;
use crate::diesel::MessageTable;
use crate::diesel::parts::{MOST_BYTES, Most, in_parts};
use crate::{Duplicates, RawMessage};

/// More rows make a statement no faster, and SQLite takes 32,766 values.
const MOST: Most = Most {
    rows: 512,
    bytes: MOST_BYTES,
};

/// Inserts the messages, all of them or none.
pub(super) fn messages<C>(
    connection: &mut C,
    table: &MessageTable,
    messages: &[RawMessage],
    duplicates: Duplicates,
) -> QueryResult<usize>
where
    C: Connection<Backend = Sqlite>,
{
    let mut parts = in_parts(messages, MOST, power_of_two).peekable();
    match parts.next() {
        Some(only) if parts.peek().is_none() => {
            insert_messages(connection, table, only, duplicates)
        }
        Some(first) => connection.transaction(|connection| {
            let mut parts = std::iter::once(first).chain(parts);
            parts.try_fold(0, |inserted, part| {
                Ok(inserted + insert_messages(connection, table, part, duplicates)?)
            })
        }),
        None => Ok(0),
    }
}

/// The largest one up to a number: 512, 256, ... 1 rows are ten texts.
fn power_of_two(fitting: usize) -> usize {
    fitting.checked_ilog2().map_or(0, |exponent| 1 << exponent)
}
