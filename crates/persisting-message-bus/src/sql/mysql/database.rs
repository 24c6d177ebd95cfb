//! The database in which the statements of a connection run.
//!
//! A prepared statement continues in the database that was selected when it was prepared, even after
//! USE has selected another one. So after a statement that may have done that, the library prepares
//! its statements again. Code of the application that is called in a transaction of the library must
//! return to the database of that transaction.

use diesel::RunQueryDsl;
use diesel::connection::LoadConnection;
use diesel::dsl::sql;
use diesel::mysql::Mysql;
use diesel::result::QueryResult;
use diesel::sql_types::{Nullable, Text};

use crate::sql::prepared::forget_statements;
use crate::sql::watch::has_stale_statements;

/// Remembers the database of a transaction.
pub(super) const REMEMBER: &str = "SET @persisting_message_bus_database_of_page = database()";

/// The remembered database, if another one is selected. Diesel does not keep this query prepared.
const LEFT: &str = "
    if(@persisting_message_bus_database_of_page <=> database(), NULL,
        @persisting_message_bus_database_of_page)";

/// Makes the connection prepare its statements again if another database may be selected, or if a
/// statement of the application failed: see `FAILED_LOADS_BREAK_STATEMENTS`.
pub(super) fn follow_database<C>(connection: &mut C)
where
    C: LoadConnection<Backend = Mysql>,
{
    if has_stale_statements(connection) {
        forget_statements(connection);
    }
}

/// Selects the database of the transaction again if another one is selected. Returns `true` if so.
pub(super) fn return_to_database<C>(connection: &mut C) -> QueryResult<bool>
where
    C: LoadConnection<Backend = Mysql>,
{
    let left = diesel::select(sql::<Nullable<Text>>(LEFT));
    let left = left.get_result::<Option<String>>(connection)?;
    let Some(left) = left else {
        return Ok(false);
    };
    connection.batch_execute(&format!("USE `{}`", left.replace('`', "``")))?;
    Ok(true)
}
