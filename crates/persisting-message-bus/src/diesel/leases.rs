//! The statements of the consumer state, as every database understands them.

use std::time::Duration;

use diesel::connection::LoadConnection;
use diesel::result::Error as DieselError;

use super::ConsumerStateTable;
use super::error::failed_while;
use super::rows::{ReadValue, first_row};
use super::statement::Value::{Number, OptionalNumber, Text};
use super::statement::{Dialect, Statement, Value};
use crate::{ConsumerStatus, Error, Lease, LeaseRequest, Position, StoreCursor};

const STORE_AND_HOLD: &str = "
    UPDATE {table}
    SET {cursor} = ?, {lease_expires_at} = {ahead}
    WHERE {consumer} = ? AND {topic} = ? AND {lease_owner} = ? AND {lease_epoch} = ?";

const STORE_AND_RELEASE: &str = "
    UPDATE {table}
    SET {cursor} = ?, {lease_owner} = NULL, {lease_expires_at} = NULL
    WHERE {consumer} = ? AND {topic} = ? AND {lease_owner} = ? AND {lease_epoch} = ?";

const RENEW: &str = "
    UPDATE {table}
    SET {lease_expires_at} = {ahead}
    WHERE {consumer} = ? AND {topic} = ? AND {lease_owner} = ? AND {lease_epoch} = ?";

const RELEASE: &str = "
    UPDATE {table}
    SET {lease_owner} = NULL, {lease_expires_at} = NULL
    WHERE {consumer} = ? AND {topic} = ? AND {lease_owner} = ? AND {lease_epoch} = ?";

const STATUS: &str = "
    SELECT {cursor}, {lease_owner}, {lease_epoch}, {lease_expires_at}
    FROM {table}
    WHERE {consumer} = ? AND {topic} = ?
    ORDER BY {lease_epoch} DESC LIMIT 1";

/// The lease, if the statement returns its cursor and epoch.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) fn take<C>(
    connection: &mut C,
    request: &LeaseRequest<'_>,
    statement: Statement<'_>,
) -> Result<Option<Lease>, Error>
where
    C: LoadConnection,
    C::Backend: Dialect + ReadValue,
{
    first_row(connection, statement, |[cursor, epoch]| {
        Ok(Lease {
            consumer: request.consumer.to_owned(),
            topic: request.topic.to_owned(),
            owner: request.owner.to_owned(),
            epoch: epoch.integer("lease_epoch")?,
            cursor: cursor.optional_integer("cursor")?.map(Position::new),
        })
    })
    .map_err(|cause| taking_failed(request, cause))
}

pub(super) fn taking_failed(request: &LeaseRequest<'_>, cause: DieselError) -> Error {
    failed(request.consumer, request.topic, "taking the lease", cause)
}

/// Who holds the lease that could not be taken.
pub(super) fn locked<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    request: &LeaseRequest<'_>,
) -> Result<Error, Error>
where
    C: LoadConnection,
    C::Backend: Dialect + ReadValue,
{
    let holder = status(connection, table, request.consumer, request.topic)?;
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
    C: LoadConnection,
    C::Backend: Dialect,
{
    let cursor = OptionalNumber(store.cursor.map(Position::get));
    let (sql, values) = match store.hold {
        Some(duration) => (STORE_AND_HOLD, vec![cursor, milliseconds(duration)]),
        None => (STORE_AND_RELEASE, vec![cursor]),
    };
    if update_held(connection, table, lease, sql, values, "storing the cursor")? {
        Ok(())
    } else {
        Err(Error::lease_lost(lease))
    }
}

pub(super) fn renew<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    lease: &Lease,
    duration: Duration,
) -> Result<(), Error>
where
    C: LoadConnection,
    C::Backend: Dialect,
{
    let (values, doing) = ([milliseconds(duration)], "prolonging the lease");
    if update_held(connection, table, lease, RENEW, values, doing)? {
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
    C: LoadConnection,
    C::Backend: Dialect,
{
    let doing = "giving the lease back";
    update_held(connection, table, lease, RELEASE, [], doing).map(drop)
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
    C: LoadConnection,
    C::Backend: Dialect,
{
    let held = [&lease.consumer, &lease.topic, &lease.owner].map(|text| Text(text));
    let values = values.into_iter().chain(held).chain([Number(lease.epoch)]);
    match connection.execute_returning_count(&Statement::new(sql, table, values)) {
        Ok(updated) => Ok(updated == 1),
        Err(cause) => Err(failed(&lease.consumer, &lease.topic, doing, cause)),
    }
}

pub(super) fn status<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    consumer: &str,
    topic: &str,
) -> Result<Option<ConsumerStatus>, Error>
where
    C: LoadConnection,
    C::Backend: Dialect + ReadValue,
{
    let status = Statement::new(STATUS, table, [Text(consumer), Text(topic)]);
    first_row(connection, status, |[cursor, owner, epoch, expires_at]| {
        Ok(ConsumerStatus {
            cursor: cursor.optional_integer("cursor")?.map(Position::new),
            lease_owner: owner.optional_text("lease_owner")?.map(str::to_owned),
            lease_epoch: epoch.integer("lease_epoch")?,
            lease_expires_at: expires_at.optional_time("lease_expires_at")?,
        })
    })
    .map_err(|cause| failed(consumer, topic, "reading the consumer's state", cause))
}

/// The databases' calendars end: at the latest, a lease expires in a century.
pub(super) fn milliseconds(duration: Duration) -> Value<'static> {
    const CENTURY: i64 = 100 * 365 * 24 * 60 * 60 * 1_000;
    let milliseconds = i64::try_from(duration.as_millis()).unwrap_or(CENTURY);
    Number(milliseconds.min(CENTURY))
}

fn failed(consumer: &str, topic: &str, doing: &str, cause: DieselError) -> Error {
    failed_while(format!("{doing} on topic \"{topic}\""), cause).of_consumer(consumer)
}
