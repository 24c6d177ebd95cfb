use std::collections::HashSet;

use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::result::Error::DeserializationError;
use diesel::result::QueryResult;
use uuid::Uuid;

use crate::RawMessage;
use crate::diesel::MessageTable;
use crate::diesel::duplicates::is_unique_violation;
use crate::diesel::insert::{Row, in_parts, insert};
use crate::diesel::rows::with_columns;
use crate::diesel::statement::Statement;
use crate::diesel::statement::Value::Text;

/// Inserts the messages, all of them or none.
pub(super) fn insert_all<C>(
    connection: &mut C,
    table: &MessageTable,
    messages: &[&RawMessage],
) -> QueryResult<usize>
where
    C: LoadConnection<Backend = Mysql>,
{
    let mut parts = in_parts(messages).peekable();
    match parts.next() {
        Some(only) if parts.peek().is_none() => insert_part(connection, table, only),
        Some(first) => connection.transaction(|connection| {
            let mut parts = std::iter::once(first).chain(parts);
            parts.try_fold(0, |inserted, part| {
                Ok(inserted + insert_part(connection, table, part)?)
            })
        }),
        None => Ok(0),
    }
}

/// Inserts the messages whose id is not taken.
///
/// Not with INSERT IGNORE, which would also ignore a payload that does not fit into its column.
pub(super) fn insert_new<C>(
    connection: &mut C,
    table: &MessageTable,
    messages: &[&RawMessage],
) -> QueryResult<usize>
where
    C: LoadConnection<Backend = Mysql>,
{
    let mut inserted = 0;
    for part in in_parts(messages) {
        inserted += match insert_part(connection, table, part) {
            Err(cause) if is_unique_violation(&cause) => {
                let mut taken = taken(connection, table, part)?;
                let new: Vec<_> = part
                    .iter()
                    .copied()
                    .filter(|message| taken.insert(message.message_id))
                    .collect();
                if new.len() == part.len() {
                    // Another index than that of the ids.
                    return Err(cause);
                }
                insert_new(connection, table, &new)?
            }
            inserted => inserted?,
        };
    }
    Ok(inserted)
}

/// The ids of messages that are in the table: of the latest state, whatever the snapshot of the
/// transaction is.
fn taken<C>(
    connection: &mut C,
    table: &MessageTable,
    messages: &[&RawMessage],
) -> QueryResult<HashSet<Uuid>>
where
    C: LoadConnection<Backend = Mysql>,
{
    let ids: Vec<_> = messages
        .iter()
        .map(|message| message.message_id.to_string())
        .collect();
    let list = vec!["?"; ids.len()].join(", ");
    let sql =
        format!("SELECT {{message_id}} FROM {{table}} WHERE {{message_id}} IN ({list}) {{latest}}");
    let statement = Statement::new(sql, table, ids.iter().map(|id| Text(id)));
    let rows = connection.load(statement)?;
    let ids = rows.map(|row| with_columns(&row?, |[id]| Ok(id.uuid("message_id"))));
    ids.map(|id: QueryResult<_>| id?.map_err(|broken| DeserializationError(Box::new(broken))))
        .collect()
}

fn insert_part<C>(
    connection: &mut C,
    table: &MessageTable,
    part: &[&RawMessage],
) -> QueryResult<usize>
where
    C: LoadConnection<Backend = Mysql>,
{
    let rows: Vec<_> = part.iter().map(|message| row(message)).collect();
    connection.execute_returning_count(&insert(table, &rows, ""))
}

fn row(message: &RawMessage) -> Row<'_> {
    Row {
        message,
        message_id: message.message_id.to_string(),
        published_at: message.published_at.format("%F %T%.6f").to_string(),
    }
}
