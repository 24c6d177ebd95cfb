use std::time::Duration;

use diesel::connection::LoadConnection;
use diesel::pg::Pg;

use crate::error::Error;
use crate::sql::dialect::Statement;
use crate::sql::dialect::Value::{Number, Text};
use crate::sql::schema::TableSchema;
use crate::sql::statements::consumers::failed;
use crate::sql::statements::leases::milliseconds;
use crate::sql::statements::renewals::{RENEWING, not_renewed};
use crate::store::lease::Lease;

/// Renews the lease, unless another transaction has locked its row. While a renewal waited, the other
/// leases of the consumer would not be renewed.
const RENEW: &str = "
    UPDATE {table}
    SET {lease_expires_at} = {now_plus_millis}
    WHERE {consumer} = ? AND {topic} = ? AND {lease_epoch} = (
            SELECT {lease_epoch} FROM {table}
            WHERE {consumer} = ? AND {topic} = ? AND {lease_owner} = ? AND {lease_epoch} = ?
            FOR NO KEY UPDATE SKIP LOCKED)";

/// How to find the session that has locked a row.
const FIND_SESSION: &str = "pg_stat_activity lists them by xact_start";

/// Renews the lease. Does not wait for a transaction that has locked its row.
pub(super) fn renew<C>(
    connection: &mut C,
    schema: &TableSchema,
    lease: &Lease,
    duration: Duration,
) -> Result<(), Error>
where
    C: LoadConnection<Backend = Pg> + 'static,
{
    let table = schema.rows_of(lease.segment.as_ref());
    let row = [lease.row_name(), &lease.topic].map(Text);
    let values = [Number(milliseconds(duration))].into_iter().chain(row);
    let held = row
        .into_iter()
        .chain([Text(&lease.owner), Number(lease.epoch)]);
    let renew = Statement::new(RENEW, table, values.chain(held));
    let renewed = connection.execute_returning_count(&renew);
    match renewed.map_err(|cause| failed(lease.key(), RENEWING, cause))? {
        0 => Err(not_renewed(connection, schema, lease, FIND_SESSION)?),
        _ => Ok(()),
    }
}
