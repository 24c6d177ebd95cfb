//! The statements that give a consumer another name, in the form that every database understands.

use chrono::{DateTime, Utc};
use diesel::connection::LoadConnection;
use diesel::result::{Error as DieselError, QueryResult};

use crate::error::Error;
use crate::sql::dialect::Value::Text;
use crate::sql::dialect::{Dialect, Names, Statement};
use crate::sql::error::failed_while;
use crate::sql::prepared::loaded;
use crate::sql::rows::{BrokenColumn, Column, ReadValue, first_row, with_columns};
use crate::sql::schema::{ConsumerStateTable, TableSchema};
use crate::store::key::ConsumerKey;

const KNOWN: &str = "SELECT {topic}, {lease_owner}, {lease_expires_at} FROM {table}
    WHERE {consumer} = ? LIMIT 1";

/// Leaves the rows whose lease is held.
const RENAME_FREE: &str = "
    UPDATE {table} SET {consumer} = ?
    WHERE {consumer} = ? AND ({lease_owner} IS NULL OR {lease_expires_at} <= {now})";

const RENAME: &str = "UPDATE {table} SET {consumer} = ? WHERE {consumer} = ?";

const SEGMENTS: &str = "SELECT {consumer}, {topic}, {lease_owner}, {lease_expires_at} FROM {table}
    WHERE {of_consumer} = ?";

/// Leaves the row if its lease is held.
const RENAME_SEGMENT: &str = "
    UPDATE {table} SET {consumer} = ?, {of_consumer} = ?
    WHERE {consumer} = ? AND {topic} = ? AND ({lease_owner} IS NULL OR {lease_expires_at} <= {now})";

pub(in crate::sql) fn rename<C>(
    connection: &mut C,
    schema: &TableSchema,
    from: &str,
    to: &str,
) -> Result<bool, Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    let failed =
        |cause: DieselError| failed_while("renaming the consumer", cause).of_consumer(from);
    connection.transaction(|connection| {
        let table = &schema.consumer_state;
        // This changes no value, but locks the rows, and on SQLite the file.
        set_name(connection, table, RENAME, from, from).map_err(failed)?;
        if holder(connection, table, to)?.is_some() {
            return Err(Error::name_taken(from, to));
        }
        let renamed = set_name(connection, table, RENAME_FREE, from, to).map_err(failed)?;
        if let Some(held) = holder(connection, table, from)? {
            return Err(held);
        }
        if table.division.is_some() {
            rename_segments(connection, schema, from, to)?;
        }
        set_name(connection, &schema.failures, RENAME, from, to).map_err(failed)?;
        set_name(connection, &schema.inbox, RENAME, from, to).map_err(failed)?;
        Ok(renamed > 0)
    })
}

/// Returns the error that names the holder of a row, if the consumer has one.
fn holder<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    consumer: &str,
) -> Result<Option<Error>, Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    let statement = Statement::new(KNOWN, table, [Text(consumer)]);
    let found = first_row(connection, statement, |[topic, owner, expires_at]| {
        let topic = topic.text("topic")?;
        let owner = owner.optional_text("lease_owner")?.map(str::to_owned);
        let expires_at = expires_at.optional_time("lease_expires_at")?;
        Ok(Error::lease_held(
            ConsumerKey { consumer, topic },
            owner,
            expires_at,
        ))
    });
    found.map_err(|cause| failed_while("renaming the consumer", cause).of_consumer(consumer))
}

/// Gives the segments the consumer's new name. A segment is named after its consumer. Fails if a
/// lease is held.
fn rename_segments<C>(
    connection: &mut C,
    schema: &TableSchema,
    from: &str,
    to: &str,
) -> Result<(), Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    let failed =
        |cause: DieselError| failed_while("renaming the segments", cause).of_consumer(from);
    for segment in segments(connection, schema, from).map_err(failed)? {
        let number = segment.name.strip_prefix(from).unwrap_or_default();
        let name = format!("{to}{number}");
        let values = [&name, to, &segment.name, &segment.topic].map(Text);
        let renamed = Statement::new(RENAME_SEGMENT, &schema.segments, values);
        let renamed = connection.execute_returning_count(&renamed);
        if renamed.map_err(failed)? == 0 {
            let key = ConsumerKey {
                consumer: from,
                topic: &segment.topic,
            };
            let held = Error::lease_held(key, segment.owner, segment.expires_at);
            let number = number.trim_start_matches('/').split(' ').next();
            return Err(held.of_segment(number.and_then(|number| number.parse().ok())));
        }
    }
    Ok(())
}

/// The row of a segment.
struct Row {
    name: String,
    topic: String,
    owner: Option<String>,
    expires_at: Option<DateTime<Utc>>,
}

fn segments<C>(connection: &mut C, schema: &TableSchema, consumer: &str) -> QueryResult<Vec<Row>>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    let statement = Statement::new(SEGMENTS, &schema.segments, [Text(consumer)]);
    let read = |connection: &mut C| {
        let rows = connection.load(statement)?;
        let rows = rows.map(|row| with_columns(&row?, segment).map_err(broken));
        rows.collect::<QueryResult<Vec<_>>>()
    };
    let rows = read(connection);
    loaded(connection, rows)
}

fn broken(column: BrokenColumn) -> DieselError {
    DieselError::DeserializationError(Box::new(column))
}

fn segment<DB: ReadValue>(
    [name, topic, owner, expires_at]: &mut [Column<'_, DB>; 4],
) -> Result<Row, BrokenColumn> {
    Ok(Row {
        name: name.text("segment")?.to_owned(),
        topic: topic.text("topic")?.to_owned(),
        owner: owner.optional_text("lease_owner")?.map(str::to_owned),
        expires_at: expires_at.optional_time("lease_expires_at")?,
    })
}

fn set_name<C>(
    connection: &mut C,
    table: &impl Names,
    sql: &'static str,
    from: &str,
    to: &str,
) -> QueryResult<usize>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect,
{
    let statement = Statement::new(sql, table, [to, from].map(Text));
    connection.execute_returning_count(&statement)
}
