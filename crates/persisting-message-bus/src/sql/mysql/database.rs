//! The database in which the statements of a connection run.
//!
//! A prepared statement continues in the database that was selected when it was prepared, even after
//! USE has selected another one. So after a statement that may have done that, the library prepares
//! its statements again. Code of the application that is called in a transaction of the library must
//! return to the database of that transaction.

use diesel::mysql::Mysql;
use diesel::result::QueryResult;

use crate::sql::dialect::Statement;
use crate::sql::executor::Executor;
use crate::sql::schema::TableSchema;
use crate::sql::watch::connections::has_stale_statements;

/// Returns the SQL that remembers the database of the innermost of `open` transactions.
pub(super) fn remember_sql(open: usize) -> String {
    format!("SET {} = database()", variable(open))
}

fn variable(open: usize) -> String {
    format!("@persisting_message_bus_database_{open}")
}

/// Makes the connection prepare its statements again if another database may be selected, or if a
/// statement of the application failed: see `FAILED_LOADS_BREAK_STATEMENTS`.
pub(super) fn follow_database<E: Executor<Backend = Mysql>>(executor: &mut E) {
    if has_stale_statements(executor) {
        executor.forget_statements();
    }
}

/// Selects the database of the innermost of `open` transactions again if another one is selected.
/// Returns `true` if so.
pub(super) async fn return_to_database<E>(executor: &mut E, open: usize) -> QueryResult<bool>
where
    E: Executor<Backend = Mysql>,
{
    let remembered = variable(open);
    let left = format!("SELECT if({remembered} <=> database(), NULL, {remembered})");
    // A prepared statement would continue in the database in which it was prepared.
    let statement = Statement::new(left, TableSchema::DEFAULT, []).unprepared();
    let left = executor.first_row(statement, |[left]| {
        Ok(left.optional_text("database")?.map(str::to_owned))
    });
    let Some(left) = left.await?.flatten() else {
        return Ok(false);
    };
    executor.run(&format!("USE {}", quoted(&left))).await?;
    Ok(true)
}

/// Returns a name as an identifier in SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
