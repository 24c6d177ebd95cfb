use std::collections::HashSet;

use diesel::connection::LoadConnection;
use diesel::query_builder::AstPass;
use diesel::result::QueryResult;
use diesel::sqlite::Sqlite;

use super::insert;
use crate::diesel::MessageTable;
use crate::diesel::duplicates::is_unique_violation;
use crate::diesel::error::failed_while;
use crate::diesel::oversized::not_persisted;
use crate::diesel::rows::first_row;
use crate::diesel::statement::Value::Text;
use crate::diesel::statement::{self, Dialect, Statement, Value};
use crate::diesel::transactions::is_in_transaction;
use crate::{Duplicates, Error, Position, RawMessage};

/// Times are texts, in milliseconds and in a form whose order as text is the order in time.
impl Dialect for Sqlite {
    /// A value that stands there alone makes SQLite prepare the statement anew each time.
    const LIMIT: &'static str = "? + 0";
    const NOW: &'static str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";
    const AHEAD: &'static str =
        "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', printf('%+.3f seconds', ? / 1000.0))";

    fn bind<'b>(value: &'b Value<'_>, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()> {
        statement::bind(value, out)
    }
}

/// What AUTOINCREMENT remembers: NULL, which is an error, for a table with rows but without it.
///
/// With one writer at a time, whatever has a lower position than a committed message is committed
/// or rolled back too: so this is the horizon of every topic.
pub(super) fn last_position<C>(connection: &mut C, table: &MessageTable) -> Result<Position, Error>
where
    C: LoadConnection<Backend = Sqlite>,
{
    let sql = "SELECT coalesce(
            (SELECT seq FROM sqlite_sequence WHERE name = ? COLLATE NOCASE),
            CASE WHEN EXISTS (SELECT 1 FROM {table}) THEN NULL ELSE 0 END
        )";
    let statement = Statement::new(sql, table, [Text(&table.table)]);
    let last = first_row(connection, statement, |[last]| {
        last.integer("position").map(Position::new)
    });
    last.map(Option::unwrap_or_default).map_err(|cause| {
        let doing = format!(
            "reading the last position of table \"{}\", whose key has to be AUTOINCREMENT",
            table.table
        );
        failed_while(doing, cause)
    })
}

/// Another number after each commit of another connection to the file, in any process.
pub(super) fn changes<C>(connection: &mut C, table: &MessageTable) -> Result<Option<i64>, Error>
where
    C: LoadConnection<Backend = Sqlite>,
{
    let statement = Statement::new("PRAGMA data_version", table, []);
    first_row(connection, statement, |[version]| {
        version.integer("data_version")
    })
    .map_err(|cause| failed_while("asking whether the file has changed", cause))
}

pub(super) fn persist<C>(
    connection: &mut C,
    table: &MessageTable,
    messages: &[RawMessage],
    duplicates: Duplicates,
) -> Result<usize, Error>
where
    C: LoadConnection<Backend = Sqlite>,
{
    insert::messages(connection, table, messages, duplicates).map_err(|cause| {
        if is_unique_violation(&cause)
            && let Ok(Some(duplicate)) = first_duplicate(connection, table, messages)
        {
            return Error::duplicate_message(duplicate);
        }
        not_persisted(persisting(connection, messages), cause, messages)
    })
}

/// The first message whose id is there already, or stands twice in the batch.
fn first_duplicate<'a, C>(
    connection: &mut C,
    table: &MessageTable,
    messages: &'a [RawMessage],
) -> QueryResult<Option<&'a RawMessage>>
where
    C: LoadConnection<Backend = Sqlite>,
{
    let mut seen = HashSet::new();
    for message in messages {
        let id = message.message_id.to_string();
        let sql = "SELECT 1 FROM {table} WHERE {message_id} = ?";
        let stored = first_row(connection, Statement::new(sql, table, [Text(&id)]), |[]| {
            Ok(())
        })?;
        if stored.is_some() || !seen.insert(message.message_id) {
            return Ok(Some(message));
        }
    }
    Ok(None)
}

fn persisting<C>(connection: &mut C, messages: &[RawMessage]) -> String
where
    C: LoadConnection<Backend = Sqlite>,
{
    let topic = messages.first().map_or("", |message| &message.topic);
    let count = messages.len();
    let doing = format!("persisting {count} messages of topic \"{topic}\"");
    if is_in_transaction(connection) {
        format!(
            "{doing} (a transaction that has read before cannot wait for other writers: dispatch in \
             an immediate_transaction)"
        )
    } else {
        doing
    }
}
