use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::result::QueryResult;

use crate::diesel::ConsumerStateTable;
use crate::diesel::duplicates::is_unique_violation;
use crate::diesel::leases::{locked, milliseconds, taking_failed};
use crate::diesel::rows::first_row;
use crate::diesel::statement::Value::{Number, OptionalNumber, Text};
use crate::diesel::statement::{Statement, Value};
use crate::{Error, Lease, LeaseRequest, Position};

/// What is there to be taken, if it is free. Reading does not wait for a holder whose transaction is
/// open.
const LOOK: &str = "
    SELECT {cursor}, {lease_epoch}, {replay_until}, coalesce({lease_owner} <> ?, 0),
        {lease_owner} IS NULL OR {lease_owner} = ? OR {lease_expires_at} <= {now}
    FROM {table} WHERE {consumer} = ? AND {topic} = ?";

/// Whether nobody's transaction holds the row: a holder whose lease has expired may still be at work in
/// one.
const PROBE: &str = "
    SELECT 1 FROM {table} WHERE {consumer} = ? AND {topic} = ? FOR UPDATE SKIP LOCKED";

/// Takes what was seen, if it is still the same.
const TAKE_OVER: &str = "
    UPDATE {table}
    SET {lease_owner} = ?, {lease_epoch} = {lease_epoch} + 1, {lease_expires_at} = {ahead}
    WHERE {consumer} = ? AND {topic} = ? AND {lease_epoch} = ? AND {cursor} <=> ?
        AND ({lease_owner} IS NULL OR {lease_owner} = ? OR {lease_expires_at} <= {now})";

const INSERT: &str = "
    INSERT INTO {table}
        ({lease_owner}, {lease_epoch}, {lease_expires_at}, {consumer}, {topic})
    VALUES (?, 1, {ahead}, ?, ?)";

/// A consumer's row.
#[derive(Clone, Copy)]
struct Seen {
    cursor: Option<i64>,
    epoch: i64,
    replay_until: Option<i64>,
    is_of_other: bool,
    is_free: bool,
}

pub(super) fn acquire<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    request: &LeaseRequest<'_>,
) -> Result<Lease, Error>
where
    C: LoadConnection<Backend = Mysql>,
{
    let failed = |cause| taking_failed(request, cause);
    // Somebody may be faster, and may have given it back since: few times in a row.
    for _ in 0..10 {
        let seen = look(connection, table, request).map_err(failed)?;
        let taken = match seen {
            Some(Seen { is_free: false, .. }) => break,
            Some(Seen {
                is_of_other: true, ..
            }) if !probe(connection, table, request).map_err(failed)? => break,
            Some(seen) => take_over(connection, table, request, seen),
            None => insert(connection, table, request),
        };
        if taken.map_err(failed)? {
            return Ok(Lease {
                consumer: request.consumer.to_owned(),
                topic: request.topic.to_owned(),
                owner: request.owner.to_owned(),
                epoch: seen.map_or(0, |seen| seen.epoch) + 1,
                cursor: seen.and_then(|seen| seen.cursor).map(Position::new),
                replay_until: seen.and_then(|seen| seen.replay_until).map(Position::new),
            });
        }
    }
    Err(locked(connection, table, request)?)
}

fn look<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    request: &LeaseRequest<'_>,
) -> QueryResult<Option<Seen>>
where
    C: LoadConnection<Backend = Mysql>,
{
    let values = [
        request.owner,
        request.owner,
        request.consumer,
        request.topic,
    ];
    let values = values.map(Text);
    let look = Statement::new(LOOK, table, values);
    first_row(
        connection,
        look,
        |[cursor, epoch, replay_until, is_of_other, is_free]| {
            Ok(Seen {
                cursor: cursor.optional_integer("cursor")?,
                epoch: epoch.integer("lease_epoch")?,
                replay_until: replay_until.optional_integer("replay_until")?,
                is_of_other: is_of_other.integer("lease_owner")? == 1,
                // Without a time of expiry, it is nobody's to take.
                is_free: is_free.optional_integer("lease_expires_at")? == Some(1),
            })
        },
    )
}

fn probe<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    request: &LeaseRequest<'_>,
) -> QueryResult<bool>
where
    C: LoadConnection<Backend = Mysql>,
{
    let values = [request.consumer, request.topic].map(Text);
    let probe = Statement::new(PROBE, table, values);
    let free = first_row(connection, probe, |[one]| one.integer("1"))?;
    Ok(free.is_some())
}

/// Takes the lease, and says whether nobody was faster.
fn take_over<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    request: &LeaseRequest<'_>,
    seen: Seen,
) -> QueryResult<bool>
where
    C: LoadConnection<Backend = Mysql>,
{
    let conditions = [
        Number(seen.epoch),
        OptionalNumber(seen.cursor),
        Text(request.owner),
    ];
    let values = new_values(request).into_iter().chain(conditions);
    let taken = connection.execute_returning_count(&Statement::new(TAKE_OVER, table, values))?;
    Ok(taken == 1)
}

/// Inserts the consumer with its lease, and says whether nobody was faster.
fn insert<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    request: &LeaseRequest<'_>,
) -> QueryResult<bool>
where
    C: LoadConnection<Backend = Mysql>,
{
    let insert = Statement::new(INSERT, table, new_values(request));
    match connection.execute_returning_count(&insert) {
        Ok(_) => Ok(true),
        Err(cause) if is_unique_violation(&cause) => Ok(false),
        Err(cause) => Err(cause),
    }
}

/// What is written, and where.
fn new_values<'a>(request: &LeaseRequest<'a>) -> [Value<'a>; 4] {
    [
        Text(request.owner),
        Number(milliseconds(request.duration)),
        Text(request.consumer),
        Text(request.topic),
    ]
}
