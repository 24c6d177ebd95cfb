//! Asks PostgreSQL for the state of a transaction.

use diesel::pg::Pg;
use diesel::result::{Error as DieselError, QueryResult};

use crate::classify::chain::class_of_cause;
use crate::sql::backend::Probe;
use crate::sql::dialect::Statement;
use crate::sql::executor::Executor;
use crate::sql::savepoint;
use crate::sql::schema::TableSchema;
use crate::store::transactions::TransactionMark;

const IF_ASSIGNED: &str = "SELECT pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text";

/// Returns the id of the transaction. If it has none yet, the server assigns one.
pub(super) async fn get<E>(executor: &mut E) -> QueryResult<Option<String>>
where
    E: Executor<Backend = Pg>,
{
    ask(
        executor,
        "SELECT pg_catalog.pg_current_xact_id()::pg_catalog.text",
    )
    .await
}

/// Asks for the state of the transaction. If a statement has failed in it, other statements fail,
/// too. COMMIT does not fail, but keeps nothing.
pub(super) async fn probe<E>(executor: &mut E, mark: &TransactionMark) -> QueryResult<Probe>
where
    E: Executor<Backend = Pg>,
{
    match ask(executor, IF_ASSIGNED).await {
        Ok(id) if mark.id.is_some() && id != mark.id => Ok(Probe::Ended),
        Ok(_) => Ok(Probe::Open),
        Err(cause) if class_of_cause(&cause).is_lost() => Err(cause),
        Err(DieselError::DatabaseError(..)) => Ok(whose_abort(executor, mark).await),
        Err(cause) => Err(cause),
    }
}

/// Determines which transaction a statement has failed in: the marked one, or another one that was
/// begun after it. Only the marked one has the savepoint. If the statements are watched, there is
/// no savepoint, and the watch would show that the marked transaction has ended.
async fn whose_abort<E>(executor: &mut E, mark: &TransactionMark) -> Probe
where
    E: Executor<Backend = Pg>,
{
    let to_it = format!("ROLLBACK TO {}", savepoint::set_sql(mark.open));
    if mark.id.is_none() || executor.run(&to_it).await.is_ok() {
        Probe::Aborted
    } else {
        Probe::Ended
    }
}

async fn ask<E>(executor: &mut E, sql: &'static str) -> QueryResult<Option<String>>
where
    E: Executor<Backend = Pg>,
{
    let statement = Statement::new(sql, &TableSchema::DEFAULT.messages, []);
    let id = executor.first_row(statement, |[id]| {
        Ok(id.optional_text("xid")?.map(str::to_owned))
    });
    id.await.map(Option::flatten)
}
