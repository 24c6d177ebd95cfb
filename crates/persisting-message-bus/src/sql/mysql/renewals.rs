use std::time::Duration;

use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;

use crate::error::Error;
use crate::sql::dialect::Statement;
use crate::sql::dialect::Value::{Number, Text};
use crate::sql::rows::first_row;
use crate::sql::schema::TableSchema;
use crate::sql::statements::consumers::failed;
use crate::sql::statements::renewals::{self, RENEWING};
use crate::store::lease::Lease;

/// Locks the row of a lease that is to be renewed, if no other transaction has locked it. While a
/// renewal waited, the other leases of the consumer would not be renewed.
const LOCK_HELD: &str = "
    SELECT 1 FROM {table}
    WHERE {consumer} = ? AND {topic} = ? AND {lease_owner} = ? AND {lease_epoch} = ?
    FOR UPDATE SKIP LOCKED";

/// How to find the session that has locked a row.
pub(super) const FIND_SESSION: &str = "information_schema.innodb_trx lists them by trx_started";

/// Renews the lease. Does not wait for a transaction that has locked its row. Runs in a transaction. Returns
/// `false` if no row of the lease was found that could be locked.
pub(super) fn renew<C>(
    connection: &mut C,
    schema: &TableSchema,
    lease: &Lease,
    duration: Duration,
) -> Result<bool, Error>
where
    C: LoadConnection<Backend = Mysql> + 'static,
{
    let table = schema.rows_of(lease.segment.as_ref());
    let held = [lease.row_name(), &lease.topic, &lease.owner].map(Text);
    let values = held.into_iter().chain([Number(lease.epoch)]);
    let lock = Statement::new(LOCK_HELD, table, values);
    let locked = first_row(connection, lock, |[one]| one.integer("1"));
    match locked.map_err(|cause| failed(lease.key(), RENEWING, cause))? {
        Some(_) => renewals::renew(connection, schema, lease, duration).map(|()| true),
        None => Ok(false),
    }
}
