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

/// Returns the SQL that remembers the database of the innermost of `open` transactions.
pub(super) fn remember_sql(open: usize) -> String {
    format!("SET {} = database()", variable(open))
}

fn variable(open: usize) -> String {
    format!("@persisting_message_bus_database_{open}")
}

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

/// Selects the database of the innermost of `open` transactions again if another one is selected.
/// Returns `true` if so.
pub(super) fn return_to_database<C>(connection: &mut C, open: usize) -> QueryResult<bool>
where
    C: LoadConnection<Backend = Mysql>,
{
    let remembered = variable(open);
    // Diesel does not keep this query prepared.
    let left = format!("if({remembered} <=> database(), NULL, {remembered})");
    let left = diesel::select(sql::<Nullable<Text>>(&left));
    let left = left.get_result::<Option<String>>(connection)?;
    let Some(left) = left else {
        return Ok(false);
    };
    connection.batch_execute(&format!("USE {}", quoted(&left)))?;
    Ok(true)
}

/// Returns a name as an identifier in SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
