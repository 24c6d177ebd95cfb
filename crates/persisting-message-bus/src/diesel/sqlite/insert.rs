use chrono::SecondsFormat;
use diesel::Connection;
use diesel::result::QueryResult;
use diesel::sqlite::Sqlite;

use super::single::InsertSingle;
use crate::diesel::insert::{Row, in_parts, insert};
use crate::diesel::{MessageTable, TableSchema};
use crate::{Duplicates, RawMessage};

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
    if let [message] = messages
        && *table == TableSchema::DEFAULT.messages
    {
        let row = row(message);
        return match duplicates {
            Duplicates::Fail => {
                connection.execute_returning_count(&InsertSingle::<false>::new(row))
            }
            Duplicates::Ignore => {
                connection.execute_returning_count(&InsertSingle::<true>::new(row))
            }
        };
    }
    let messages: Vec<_> = messages.iter().collect();
    let insert = |connection: &mut C, part: &[&RawMessage]| {
        let rows: Vec<_> = part.iter().map(|message| row(message)).collect();
        let conflict = match duplicates {
            Duplicates::Fail => "",
            Duplicates::Ignore => "ON CONFLICT ({message_id}) DO NOTHING",
        };
        connection.execute_returning_count(&insert(table, &rows, conflict))
    };
    let mut parts = in_parts(&messages).peekable();
    match parts.next() {
        Some(only) if parts.peek().is_none() => insert(connection, only),
        Some(first) => connection.transaction(|connection| {
            let mut parts = std::iter::once(first).chain(parts);
            parts.try_fold(0, |inserted, part| Ok(inserted + insert(connection, part)?))
        }),
        None => Ok(0),
    }
}

fn row(message: &RawMessage) -> Row<'_> {
    Row {
        message,
        message_id: message.message_id.to_string(),
        published_at: message
            .published_at
            .to_rfc3339_opts(SecondsFormat::Micros, true),
    }
}
