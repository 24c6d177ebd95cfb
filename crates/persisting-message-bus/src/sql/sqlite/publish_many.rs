use diesel::Connection;
use diesel::result::QueryResult;
use diesel::sqlite::Sqlite;

use crate::message::raw::RawMessage;
use crate::sql::chunks::{MAX_BYTES, Most, in_chunks};
use crate::sql::schema::TableSchema;
use crate::sql::sqlite::row_writer::insert_messages;
use crate::store::repository::OnDuplicate;

/// The maximum size of a statement. More rows do not make a statement faster, and SQLite accepts at
/// most 32,766 values.
const MAX_CHUNK: Most = Most {
    rows: 512,
    bytes: MAX_BYTES,
};

/// Inserts the messages, all of them or none.
pub(super) fn insert<C>(
    connection: &mut C,
    schema: &TableSchema,
    messages: &[RawMessage],
    duplicates: OnDuplicate,
) -> QueryResult<usize>
where
    C: Connection<Backend = Sqlite>,
{
    let mut parts = in_chunks(messages, MAX_CHUNK, power_of_two).peekable();
    match parts.next() {
        Some(only) if parts.peek().is_none() => {
            insert_messages(connection, schema, only, duplicates)
        }
        Some(first) => connection.transaction(|connection| {
            let mut parts = std::iter::once(first).chain(parts);
            parts.try_fold(0, |inserted, part| {
                Ok(inserted + insert_messages(connection, schema, part, duplicates)?)
            })
        }),
        None => Ok(0),
    }
}

/// Returns the largest power of two up to a number: 512, 256, ... 1 rows need only ten statement
/// texts.
fn power_of_two(fitting: usize) -> usize {
    fitting.checked_ilog2().map_or(0, |exponent| 1 << exponent)
}
