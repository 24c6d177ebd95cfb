//! The statements that record the failure of a message.

use diesel::connection::LoadConnection;
use diesel::result::{Error as DieselError, QueryResult};

use crate::error::Error;
use crate::sql::dialect::Value::{Number, OptionalText, Text};
use crate::sql::dialect::{Dialect, Statement};
use crate::sql::executor::on_sync::OnSync;
use crate::sql::own_transactions::is_in_transaction;
use crate::sql::rows::{ReadValue, first_row};
use crate::sql::schema::TableSchema;
use crate::sql::statements::consumers::failed;
use crate::sql::statements::failures::{count, execute, execute_in, key, slot_of};
use crate::sql::statements::renewals;
use crate::store::failures::{FailureState, NewFailure};
use crate::store::lease::Lease;

const FORGET_OVERCOME: &str = "
    DELETE FROM {table}
    WHERE {consumer} = ? AND {topic} = ? AND {position} < ? AND {state} IN ('failing', 'stopped', 'unknown')";

const AGAIN: &str = "
    UPDATE {table}
    SET {attempts} = {attempts} + ?, {state} = ?, {error} = ?, {key_slot} = ?,
        {last_failed_at} = {now}
    WHERE {consumer} = ? AND {topic} = ? AND {position} = ?";

const FIRST: &str = "
    INSERT INTO {table} ({attempts}, {state}, {error}, {key_slot}, {consumer}, {topic}, {position},
        {message_id}, {message_type}, {first_failed_at}, {last_failed_at})
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, {now}, {now})";

const ATTEMPTS: &str = "
    SELECT {attempts} FROM {table} WHERE {consumer} = ? AND {topic} = ? AND {position} = ?";

/// Records a failure. Every writer locks the row of the consumer or its segment first. A holder that
/// has lost the lease fails there, before it changes anything else.
///
/// That rules out deadlocks, unless the consumer is divided: on MySQL, two segments that fail at once
/// can lock the same gap of the table of failures. Then one of them tries again, so that its failure
/// counts.
pub(in crate::sql) fn record<C>(
    connection: &mut C,
    schema: &TableSchema,
    lease: &Lease,
    failure: &NewFailure<'_>,
) -> Result<u32, Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    const MOST: u32 = 5;
    let can_repeat = lease.segment.is_some() && !is_in_transaction(&mut OnSync(connection));
    let mut tries = 1;
    loop {
        let recorded = connection.transaction(|connection| {
            renewals::renew(connection, schema, lease, failure.extend_lease)?;
            note(connection, schema, lease, failure).map_err(|cause| {
                let doing = format!("recording the failure at position {}", failure.position);
                failed(lease.key(), &doing, cause)
            })
        });
        match recorded {
            Err(error) if can_repeat && tries < MOST && is_conflict(&error) => tries += 1,
            recorded => return recorded,
        }
    }
}

fn is_conflict(error: &Error) -> bool {
    error.is_retryable() && !error.is_disconnected() && !error.is_lease_lost()
}

fn note<C>(
    connection: &mut C,
    schema: &TableSchema,
    lease: &Lease,
    failure: &NewFailure<'_>,
) -> QueryResult<u32>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    let table = &schema.failures;
    let key = key(lease, failure.position);
    let attempts = i64::from(failure.state != FailureState::Unknown);
    // The consumer may have been divided since the last failure.
    let slot = slot_of(connection, schema, lease, failure.position)?;
    let written = [
        Number(attempts),
        Text(failure.state.as_str()),
        Text(failure.error),
        Number(slot.get().into()),
    ];
    let values = || written.into_iter().chain(key);
    execute_in(connection, table, FORGET_OVERCOME, key, lease)?;
    if execute(connection, table, AGAIN, values())? == 0 {
        let id = failure.message_id.map(|id| id.to_string());
        let message = [id.as_deref(), failure.message_type].map(OptionalText);
        execute(connection, table, FIRST, values().chain(message))?;
    }
    let attempts = Statement::new(ATTEMPTS, table, key);
    first_row(connection, attempts, |[attempts]| count(attempts))?.ok_or(DieselError::NotFound)
}
