use std::borrow::Cow;

use diesel::connection::LoadConnection;
use diesel::pg::Pg;

use super::fence::hash_of;
use crate::diesel::leases::{locked, milliseconds, status, take, taking_failed};
use crate::diesel::rows::first_row;
use crate::diesel::statement::Statement;
use crate::diesel::statement::Value::{Number, Text};
use crate::diesel::transactions::is_in_transaction;
use crate::diesel::{ConsumerStateTable, TableSchema};
use crate::{Error, Lease, LeaseRequest};

/// Takes the lease over; returns no row when another owner holds it, or there is no consumer. Does not
/// wait for a holder whose transaction is open, although its lease may have expired.
///
/// Where a transaction is open for long, PostgreSQL keeps all versions of a row that is updated
/// meanwhile. The epoch is part of the key so that the latest is found without walking through them.
const TAKE: &str = "
    UPDATE {table}
    SET {lease_owner} = ?, {work} = CASE WHEN {lease_owner} = ? THEN NULL ELSE {work} END,
        {lease_epoch} = {lease_epoch} + 1, {lease_expires_at} = {ahead}
    WHERE {consumer} = ? AND {topic} = ? AND {lease_epoch} = (
            SELECT {lease_epoch} FROM {table} WHERE {consumer} = ? AND {topic} = ?
            ORDER BY {lease_epoch} DESC LIMIT 1 FOR UPDATE SKIP LOCKED)
        AND ({lease_owner} IS NULL OR {lease_owner} = ? OR {lease_expires_at} <= {now})
    RETURNING {cursor}, {lease_epoch}, {replay_until}, {work}, {suspect_until}";

/// Behind it, in a transaction of its own: the commit does not wait for the disk. Of a lease that a crash of
/// the server undoes, the owner's next write finds that it is lost, as it names owner and epoch.
const WITHOUT_WAITING: &str = ", set_config('synchronous_commit', 'off', true)";

/// The key alone does not say that there is one row for each consumer and topic: one is inserted under
/// this lock. Its keys are another kind than those of publishers.
const LOCK: &str = "
    SELECT current_setting('transaction_isolation'), pg_advisory_xact_lock(?)::text";

const INSERT: &str = "
    INSERT INTO {table} ({consumer}, {topic}, {lease_owner}, {lease_epoch}, {lease_expires_at})
    SELECT ?, ?, ?, 1, {ahead}
    WHERE NOT EXISTS (SELECT FROM {table} WHERE {consumer} = ? AND {topic} = ?)
    RETURNING {cursor}, {lease_epoch}, {replay_until}, {work}, {suspect_until}";

pub(super) fn acquire<C>(
    connection: &mut C,
    schema: &TableSchema,
    request: &LeaseRequest<'_>,
) -> Result<Lease, Error>
where
    C: LoadConnection<Backend = Pg>,
{
    let table = &schema.consumer_state;
    // Somebody may be faster, and may have given it back since: few times in a row.
    for _ in 0..10 {
        if let Some(lease) = take_over(connection, table, request)? {
            return Ok(lease);
        }
        match status(connection, schema, request.consumer, request.topic)? {
            Some(held) if held.lease_owner.is_some() => break,
            Some(_) => {}
            None => {
                let inserted = |connection: &mut C| insert(connection, table, request);
                if let Some(lease) = connection.transaction(inserted)? {
                    return Ok(lease);
                }
            }
        }
    }
    Err(locked(connection, schema, request)?)
}

fn take_over<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    request: &LeaseRequest<'_>,
) -> Result<Option<Lease>, Error>
where
    C: LoadConnection<Backend = Pg>,
{
    let values = [
        Text(request.owner),
        Text(request.owner),
        Number(milliseconds(request.duration)),
        Text(request.consumer),
        Text(request.topic),
        Text(request.consumer),
        Text(request.topic),
        Text(request.owner),
    ];
    let sql = if is_in_transaction(connection) {
        Cow::Borrowed(TAKE)
    } else {
        Cow::Owned(format!("{TAKE}{WITHOUT_WAITING}"))
    };
    take(connection, request, Statement::new(sql, table, values))
}

/// Inserts the consumer with its lease, unless somebody was faster.
fn insert<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    request: &LeaseRequest<'_>,
) -> Result<Option<Lease>, Error>
where
    C: LoadConnection<Backend = Pg>,
{
    lock(connection, table, request)?;
    let values = [
        Text(request.consumer),
        Text(request.topic),
        Text(request.owner),
        Number(milliseconds(request.duration)),
        Text(request.consumer),
        Text(request.topic),
    ];
    take(connection, request, Statement::new(INSERT, table, values))
}

fn lock<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    request: &LeaseRequest<'_>,
) -> Result<(), Error>
where
    C: LoadConnection<Backend = Pg>,
{
    let key = [request.consumer, request.topic].map(|name| i64::from(hash_of(name)));
    let key = [Number(key[0] << 32 | key[1])];
    let locked = first_row(
        connection,
        Statement::new(LOCK, table, key),
        |[isolation, _]| Ok(isolation.text("transaction_isolation")?.to_owned()),
    );
    match locked.map_err(|cause| taking_failed(request, cause))? {
        Some(isolation) if !isolation.starts_with("read") => Err(Error::repository(
            "taking the lease of a new consumer",
            "a transaction in this isolation level does not see what others insert meanwhile: \
             consume in sessions whose transactions are READ COMMITTED",
            false,
        )
        .of_consumer(request.consumer)),
        _ => Ok(()),
    }
}
