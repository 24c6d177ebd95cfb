//! The statements that Diesel has prepared on a connection, and keeps for the next time.

use diesel::connection::{CacheSize, Connection};
use diesel::result::{Error as DieselError, QueryResult};

use crate::sql::dialect::Dialect;

/// Makes a connection prepare each statement again. Other connections than Diesel's own may not close
/// the statements that they forget, so they keep none any more.
pub(super) fn forget_statements<C: Connection + 'static>(connection: &mut C) {
    connection.set_prepared_statement_cache_size(CacheSize::Disabled);
    if is_of_diesel(connection) {
        connection.set_prepared_statement_cache_size(CacheSize::Unbounded);
    }
}

/// Returns whether a statement that has failed makes others useless on this connection. That is so with
/// MySQL's C library only.
pub(super) fn breaks_statements<C>(connection: &mut C) -> bool
where
    C: Connection + 'static,
    C::Backend: Dialect,
{
    C::Backend::FAILED_LOADS_BREAK_STATEMENTS && is_of_diesel(connection)
}

#[cfg(feature = "mysql")]
fn is_of_diesel<C: Connection + 'static>(connection: &mut C) -> bool {
    crate::sql::plain::plain::<diesel::MysqlConnection, C>(connection).is_some()
}

#[cfg(not(feature = "mysql"))]
fn is_of_diesel<C: Connection + 'static>(_connection: &mut C) -> bool {
    false
}

/// Returns the result of loading rows, after which each prepared statement can run again.
pub(super) fn loaded<C, T>(connection: &mut C, result: QueryResult<T>) -> QueryResult<T>
where
    C: Connection + 'static,
    C::Backend: Dialect,
{
    if let Err(DieselError::DatabaseError(..)) = result
        && breaks_statements(connection)
    {
        forget_statements(connection);
    }
    result
}
