//! The statements that Diesel has prepared on a connection, and keeps for the next time.

use diesel::connection::{CacheSize, Connection};
use diesel::result::{Error as DieselError, QueryResult};

use crate::sql::dialect::Dialect;

/// Makes a connection prepare each statement again.
pub(super) fn forget_statements<C: Connection>(connection: &mut C) {
    connection.set_prepared_statement_cache_size(CacheSize::Disabled);
    connection.set_prepared_statement_cache_size(CacheSize::Unbounded);
}

/// Returns the result of loading rows, after which each prepared statement can run again.
pub(super) fn loaded<C, T>(connection: &mut C, result: QueryResult<T>) -> QueryResult<T>
where
    C: Connection,
    C::Backend: Dialect,
{
    if C::Backend::FAILED_LOADS_BREAK_STATEMENTS
        && let Err(DieselError::DatabaseError(..)) = result
    {
        forget_statements(connection);
    }
    result
}
