use std::collections::HashSet;
use std::ops::ControlFlow;

use diesel::connection::{LoadConnection, TransactionManager};
use diesel::result::{DatabaseErrorKind, Error as DieselError, QueryResult};
use diesel::sqlite::Sqlite;
use uuid::Uuid;

use super::insert;
use super::rows::{BrokenColumn, Column, first_row, integer, text, time, with_columns};
use crate::diesel::MessageTable;
use crate::diesel::error::failed_while;
use crate::diesel::statement::Statement;
use crate::diesel::statement::Value::{Number, Text};
use crate::{Duplicates, Error, MessageTypes, PageRequest, Position, RawMessage, StoredMessage};

/// With one writer at a time, whatever has a lower position than a committed message is committed
/// or rolled back too.
pub(super) fn safe_head<C>(
    connection: &mut C,
    table: &MessageTable,
    topic: &str,
) -> Result<Position, Error>
where
    C: LoadConnection<Backend = Sqlite>,
{
    let sql = "SELECT coalesce(max({id}), 0) FROM {table} WHERE {topic} = ?";
    let statement = Statement::new(sql, table, [Text(topic)]);
    position(connection, statement)
        .map_err(|cause| failed_while(format!("reading the head of topic \"{topic}\""), cause))
}

/// What AUTOINCREMENT remembers: NULL, which is an error, for a table with rows but without it.
pub(super) fn last_position<C>(connection: &mut C, table: &MessageTable) -> Result<Position, Error>
where
    C: LoadConnection<Backend = Sqlite>,
{
    let sql = "SELECT coalesce(
            (SELECT seq FROM sqlite_sequence WHERE name = ? COLLATE NOCASE),
            CASE WHEN EXISTS (SELECT 1 FROM {table}) THEN NULL ELSE 0 END
        )";
    let statement = Statement::new(sql, table, [Text(&table.table)]);
    position(connection, statement).map_err(|cause| {
        let doing = format!(
            "reading the last position of table \"{}\", whose key has to be AUTOINCREMENT",
            table.table
        );
        failed_while(doing, cause)
    })
}

fn position<C>(connection: &mut C, statement: Statement<'_>) -> QueryResult<Position>
where
    C: LoadConnection<Backend = Sqlite>,
{
    let id = first_row(connection, statement, |[id]| integer(id, "position"))?;
    Ok(id.map_or(Position::START, Position::new))
}

pub(super) fn read_page<C>(
    connection: &mut C,
    table: &MessageTable,
    request: &PageRequest<'_>,
    receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
) -> Result<(), Error>
where
    C: LoadConnection<Backend = Sqlite>,
{
    let failed = |cause| {
        let (topic, after) = (request.topic, request.after);
        failed_while(
            format!("reading topic \"{topic}\" after position {after}"),
            cause,
        )
    };
    let rows = connection.load(page(table, request)).map_err(failed)?;
    for row in rows {
        let row = row.map_err(failed)?;
        let next = with_columns(&row, |columns| {
            message(request.topic, columns).map(|message| receive(&message))
        });
        if next?.is_break() {
            break;
        }
    }
    Ok(())
}

fn page<'a>(table: &'a MessageTable, request: &'a PageRequest<'_>) -> Statement<'a> {
    let (operator, types) = match request.message_types {
        MessageTypes::All => ("", None),
        MessageTypes::Only(types) => ("AND {message_type} IN", Some(types)),
        MessageTypes::Except(types) => ("AND {message_type} NOT IN", Some(types)),
    };
    let filter = types.map_or(String::new(), |types| {
        format!("{operator} ({})", vec!["?"; types.len()].join(", "))
    });
    let version = match table.message_version {
        Some(_) => "{message_version}",
        None => "1",
    };
    let sql = format!(
        "SELECT {{id}}, {{message_id}}, {{message_type}}, {version}, {{payload}}, {{headers}}, \
         {{published_at}} FROM {{table}} \
         WHERE {{topic}} = ? AND {{id}} > ? AND {{id}} <= ? {filter} ORDER BY {{id}} LIMIT ?"
    );
    let limit = i64::try_from(request.limit).unwrap_or(i64::MAX);
    let values = [
        Text(request.topic),
        Number(request.after.get()),
        Number(request.up_to.get()),
    ];
    let types = types.unwrap_or_default().iter().map(|name| Text(name));
    Statement::new(
        sql,
        table,
        values.into_iter().chain(types).chain([Number(limit)]),
    )
}

fn message<'v>(
    topic: &'v str,
    [id, columns @ ..]: &'v mut [Column<'_, '_, '_>; 7],
) -> Result<StoredMessage<'v>, Error> {
    let position = integer(id, "id")
        .map(Position::new)
        .map_err(|broken| Error::repository(format!("reading topic \"{topic}\""), broken, false))?;
    message_at(position, topic, columns)
        .map_err(|broken| Error::broken_row(topic, position, broken))
}

fn message_at<'v>(
    position: Position,
    topic: &'v str,
    columns: &'v mut [Column<'_, '_, '_>; 6],
) -> Result<StoredMessage<'v>, BrokenColumn> {
    let [id, message_type, version, payload, headers, published_at] = columns;
    Ok(StoredMessage {
        position,
        message_id: message_id(text(id, "message_id")?)?,
        topic,
        message_type: text(message_type, "message_type")?,
        message_version: message_version(integer(version, "message_version")?)?,
        payload: text(payload, "payload")?,
        headers: text(headers, "headers")?,
        published_at: time(text(published_at, "published_at")?, "published_at")?,
    })
}

fn message_id(text: &str) -> Result<Uuid, BrokenColumn> {
    Uuid::try_parse(text).map_err(|_| BrokenColumn {
        column: "message_id",
        expected: "a UUID",
        found: format!("{text:?}"),
    })
}

fn message_version(found: i64) -> Result<u32, BrokenColumn> {
    let version = u32::try_from(found).ok().filter(|version| *version > 0);
    version.ok_or_else(|| BrokenColumn {
        column: "message_version",
        expected: "a version from 1",
        found: found.to_string(),
    })
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
            && let Some(duplicate) = first_duplicate(connection, table, messages)
        {
            return Error::duplicate_message(duplicate);
        }
        failed_while(persisting(connection, messages), cause)
    })
}

fn is_unique_violation(cause: &DieselError) -> bool {
    matches!(
        cause,
        DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)
    )
}

/// The message whose id is there already, or stands twice in the batch.
fn first_duplicate<'a, C>(
    connection: &mut C,
    table: &MessageTable,
    messages: &'a [RawMessage],
) -> Option<&'a RawMessage>
where
    C: LoadConnection<Backend = Sqlite>,
{
    let mut seen = HashSet::new();
    messages.iter().find(|message| {
        let id = message.message_id.to_string();
        let sql = "SELECT 1 FROM {table} WHERE {message_id} = ?";
        let statement = Statement::new(sql, table, [Text(&id)]);
        let stored = first_row(connection, statement, |[]| Ok(()));
        !seen.insert(message.message_id) || matches!(stored, Ok(Some(())))
    })
}

fn persisting<C>(connection: &mut C, messages: &[RawMessage]) -> String
where
    C: LoadConnection<Backend = Sqlite>,
{
    let topic = messages.first().map_or("", |message| &message.topic);
    let count = messages.len();
    let status = C::TransactionManager::transaction_manager_status_mut(connection);
    match status.transaction_depth() {
        Ok(None) => format!("persisting {count} messages of topic \"{topic}\""),
        _ => format!(
            "persisting {count} messages of topic \"{topic}\" (a transaction that has read before \
             cannot wait for other writers: dispatch in an immediate_transaction)"
        ),
    }
}
