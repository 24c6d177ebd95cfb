use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::result::QueryResult;

use crate::diesel::ConsumerStateTable;
use crate::diesel::duplicates::is_unique_violation;
use crate::diesel::leases::{locked, milliseconds, take, taking_failed};
use crate::diesel::statement::Value::Text;
use crate::diesel::statement::{Statement, Value};
use crate::{Error, Lease, LeaseRequest};

const TAKE_OVER: &str = "
    UPDATE {table}
    SET {lease_owner} = ?, {lease_epoch} = {lease_epoch} + 1, {lease_expires_at} = {ahead}
    WHERE {consumer} = ? AND {topic} = ?
        AND ({lease_owner} IS NULL OR {lease_owner} = ? OR {lease_expires_at} <= {now})";

const INSERT: &str = "
    INSERT INTO {table}
        ({lease_owner}, {lease_epoch}, {lease_expires_at}, {consumer}, {topic})
    VALUES (?, 1, {ahead}, ?, ?)";

/// Nobody else writes while the owner is this one.
const TAKEN: &str = "
    SELECT {cursor}, {lease_epoch} FROM {table}
    WHERE {consumer} = ? AND {topic} = ? AND {lease_owner} = ?";

pub(super) fn acquire<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    request: &LeaseRequest<'_>,
) -> Result<Lease, Error>
where
    C: LoadConnection<Backend = Mysql>,
{
    let failed = |cause| taking_failed(request, cause);
    let taken = take_over(connection, table, request).map_err(failed)?
        || insert(connection, table, request).map_err(failed)?
        // Somebody else has inserted it meanwhile.
        || take_over(connection, table, request).map_err(failed)?;
    let owned = [request.consumer, request.topic, request.owner].map(Text);
    let lease = if taken {
        take(connection, request, Statement::new(TAKEN, table, owned))?
    } else {
        None
    };
    match lease {
        Some(lease) => Ok(lease),
        None => Err(locked(connection, table, request)?),
    }
}

fn take_over<C>(
    connection: &mut C,
    table: &ConsumerStateTable,
    request: &LeaseRequest<'_>,
) -> QueryResult<bool>
where
    C: LoadConnection<Backend = Mysql>,
{
    let values = new_values(request).into_iter().chain([Text(request.owner)]);
    let taken = connection.execute_returning_count(&Statement::new(TAKE_OVER, table, values))?;
    Ok(taken == 1)
}

/// Inserts the consumer, and says whether it was not there.
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
        milliseconds(request.duration),
        Text(request.consumer),
        Text(request.topic),
    ]
}
