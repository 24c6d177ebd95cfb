use std::time::Duration;

use diesel::connection::LoadConnection;
use diesel::result::Error as DieselError;
use diesel::sqlite::Sqlite;

use super::rows::{first_row, integer, optional_integer, optional_text, time};
use crate::diesel::ConsumerStateTable;
use crate::diesel::error::failed_while;
use crate::diesel::statement::Value::{Number, OptionalNumber, Text};
use crate::diesel::statement::{Statement, Value};
use crate::{ConsumerStatus, Error, Lease, LeaseRequest, Position, StoreCursor};

// Times are the database's, in milliseconds and in a form whose order as text is the order in time.

/// Inserts the consumer or takes its lease over; returns no row when another owner holds it.
const TAKE: &str = "
    INSERT INTO {table} AS held
        ({consumer}, {topic}, {lease_owner}, {lease_epoch}, {lease_expires_at})
    VALUES (?, ?, ?, 1, strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?))
    ON CONFLICT ({consumer}, {topic}) DO UPDATE SET
        {lease_owner} = excluded.{lease_owner},
        {lease_epoch} = held.{lease_epoch} + 1,
        {lease_expires_at} = excluded.{lease_expires_at}
    WHERE held.{lease_owner} IS NULL
        OR held.{lease_owner} = excluded.{lease_owner}
        OR held.{lease_expires_at} <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    RETURNING {cursor}, {lease_epoch}";

const STORE_AND_HOLD: &str = "
    UPDATE {table}
    SET {cursor} = ?, {lease_expires_at} = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?)
    WHERE {consumer} = ? AND {topic} = ? AND {lease_owner} = ? AND {lease_epoch} = ?";

const STORE_AND_RELEASE: &str = "
    UPDATE {table}
    SET {cursor} = ?, {lease_owner} = NULL, {lease_expires_at} = NULL
    WHERE {consumer} = ? AND {topic} = ? AND {lease_owner} = ? AND {lease_epoch} = ?";

const RELEASE: &str = "
    UPDATE {table}
    SET {lease_owner} = NULL, {lease_expires_at} = NULL
    WHERE {consumer} = ? AND {topic} = ? AND {lease_owner} = ? AND {lease_epoch} = ?";

const STATUS: &str = "
    SELECT {cursor}, {lease_owner}, {lease_epoch}, {lease_expires_at}
    FROM {table}
    WHERE {consumer} = ? AND {topic} = ?";

pub(super) fn acquire<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    request: &LeaseRequest<'_>,
) -> Result<Lease, Error>
where
    C: LoadConnection<Backend = Sqlite>,
{
    let ahead = ahead(request.duration);
    let values = [request.consumer, request.topic, request.owner, &ahead].map(Text);
    let take = Statement::new(TAKE, table, values);
    let taken = first_row(connection, take, |[cursor, epoch]| {
        Ok((
            optional_integer(cursor, "cursor")?.map(Position::new),
            integer(epoch, "lease_epoch")?,
        ))
    });
    let failed = |cause| failed(request.consumer, request.topic, "taking the lease", cause);
    let Some((cursor, epoch)) = taken.map_err(failed)? else {
        return Err(locked(connection, table, request)?);
    };
    Ok(Lease {
        consumer: request.consumer.to_owned(),
        topic: request.topic.to_owned(),
        owner: request.owner.to_owned(),
        epoch,
        cursor,
    })
}

/// Who holds the lease that could not be taken.
fn locked<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    request: &LeaseRequest<'_>,
) -> Result<Error, Error>
where
    C: LoadConnection<Backend = Sqlite>,
{
    let holder = consumer_status(connection, table, request.consumer, request.topic)?;
    let (owner, expires_at) = holder
        .map(|status| (status.lease_owner, status.lease_expires_at))
        .unwrap_or_default();
    Ok(Error::locked(request, owner, expires_at))
}

pub(super) fn store_cursor<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    lease: &Lease,
    store: &StoreCursor,
) -> Result<(), Error>
where
    C: LoadConnection<Backend = Sqlite>,
{
    let cursor = OptionalNumber(store.cursor.map(Position::get));
    let ahead = store.hold.map(ahead);
    let (sql, values) = match &ahead {
        Some(ahead) => (STORE_AND_HOLD, vec![cursor, Text(ahead)]),
        None => (STORE_AND_RELEASE, vec![cursor]),
    };
    if update_held(connection, table, lease, sql, values, "storing the cursor")? {
        Ok(())
    } else {
        Err(Error::lease_lost(lease))
    }
}

pub(super) fn release<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    lease: &Lease,
) -> Result<(), Error>
where
    C: LoadConnection<Backend = Sqlite>,
{
    update_held(
        connection,
        table,
        lease,
        RELEASE,
        [],
        "giving the lease back",
    )
    .map(drop)
}

/// Updates the consumer's row if the lease is still held, and says whether it is.
fn update_held<'a, C>(
    connection: &mut C,
    table: &'a ConsumerStateTable,
    lease: &'a Lease,
    sql: &'static str,
    values: impl IntoIterator<Item = Value<'a>>,
    doing: &str,
) -> Result<bool, Error>
where
    C: LoadConnection<Backend = Sqlite>,
{
    let held = [&lease.consumer, &lease.topic, &lease.owner].map(|text| Text(text));
    let values = values.into_iter().chain(held).chain([Number(lease.epoch)]);
    match connection.execute_returning_count(&Statement::new(sql, table, values)) {
        Ok(updated) => Ok(updated == 1),
        Err(cause) => Err(failed(&lease.consumer, &lease.topic, doing, cause)),
    }
}

pub(super) fn consumer_status<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    consumer: &str,
    topic: &str,
) -> Result<Option<ConsumerStatus>, Error>
where
    C: LoadConnection<Backend = Sqlite>,
{
    let status = Statement::new(STATUS, table, [Text(consumer), Text(topic)]);
    first_row(connection, status, |[cursor, owner, epoch, expires_at]| {
        let expires_at = optional_text(expires_at, "lease_expires_at")?;
        Ok(ConsumerStatus {
            cursor: optional_integer(cursor, "cursor")?.map(Position::new),
            lease_owner: optional_text(owner, "lease_owner")?.map(str::to_owned),
            lease_epoch: integer(epoch, "lease_epoch")?,
            lease_expires_at: expires_at
                .map(|text| time(text, "lease_expires_at"))
                .transpose()?,
        })
    })
    .map_err(|cause| failed(consumer, topic, "reading the consumer's state", cause))
}

/// SQLite's modifier for a time ahead. Its calendar ends with the year 9999.
fn ahead(duration: Duration) -> String {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    let duration = duration.min(CENTURY);
    format!(
        "+{}.{:03} seconds",
        duration.as_secs(),
        duration.subsec_millis()
    )
}

fn failed(consumer: &str, topic: &str, doing: &str, cause: DieselError) -> Error {
    failed_while(format!("{doing} on topic \"{topic}\""), cause).of_consumer(consumer)
}
