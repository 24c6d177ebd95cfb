//! The statement that renews a lease, in the form that every database understands.

use std::time::Duration;

use diesel::connection::LoadConnection;

use crate::error::Error;
use crate::sql::dialect::Dialect;
use crate::sql::dialect::Value::Number;
use crate::sql::executor::now;
use crate::sql::executor::on_sync::OnSync;
use crate::sql::rows::ReadValue;
use crate::sql::schema::TableSchema;
use crate::sql::statements::consumers::status;
use crate::sql::statements::leases::{milliseconds, update_held};
use crate::sql::statements::segments;
use crate::store::consumer_state::ConsumerRow;
use crate::store::lease::Lease;

/// What a renewal does, for its errors.
pub(in crate::sql) const RENEWING: &str = "renewing the lease";

const RENEW: &str = "
    UPDATE {table}
    SET {lease_expires_at} = {now_plus_millis}
    WHERE {consumer} = ? AND {topic} = ? AND {lease_owner} = ? AND {lease_epoch} = ?";

/// Renews the lease. Waits for transactions that have locked its row.
pub(in crate::sql) fn renew<C>(
    connection: &mut C,
    schema: &TableSchema,
    lease: &Lease,
    duration: Duration,
) -> Result<(), Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect,
{
    let values = [Number(milliseconds(duration))];
    update_held(connection, schema, lease, RENEW, values, RENEWING)
}

/// Returns why a renewal that leaves locked rows out has not found the row of its lease. `find_session` says
/// how to find the session that has locked it.
#[cfg_attr(
    not(any(feature = "postgres_backend", feature = "mysql_backend")),
    expect(dead_code, reason = "only these databases lock rows")
)]
pub(in crate::sql) fn not_renewed<C>(
    connection: &mut C,
    schema: &TableSchema,
    lease: &Lease,
    find_session: &str,
) -> Result<Error, Error>
where
    C: LoadConnection + 'static,
    C::Backend: Dialect + ReadValue,
{
    let row = match &lease.segment {
        Some(segment) => segments::stored(connection, schema, lease.key(), segment)?,
        None => now(status(&mut OnSync(connection), schema, lease.key()))?,
    };
    let is_held = |row: &ConsumerRow| {
        row.lease_epoch == lease.epoch && row.lease_owner.as_ref() == Some(&lease.owner)
    };
    Ok(match row.filter(is_held) {
        Some(row) => Error::lease_row_locked(lease, row.lease_expires_at, find_session),
        None => Error::lease_lost(lease),
    })
}
