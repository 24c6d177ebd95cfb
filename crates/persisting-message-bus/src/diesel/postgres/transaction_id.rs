//! What PostgreSQL says of a transaction.

use diesel::connection::LoadConnection;
use diesel::pg::Pg;
use diesel::result::{Error as DieselError, QueryResult};

use crate::TransactionMark;
use crate::diesel::TableSchema;
use crate::diesel::backend::Probe;
use crate::diesel::class::class_of_cause;
use crate::diesel::rows::first_row;
use crate::diesel::savepoint;
use crate::diesel::statement::Statement;
use crate::error::class::Class;

/// The id of the transaction, which it is given now if it has none.
pub(super) fn get<C>(connection: &mut C) -> QueryResult<Option<String>>
where
    C: LoadConnection<Backend = Pg>,
{
    ask(connection, "SELECT pg_current_xact_id()::text")
}

/// In a transaction in which a statement has failed, others fail, too. COMMIT does not, and keeps nothing.
pub(super) fn probe<C>(connection: &mut C, mark: &TransactionMark) -> QueryResult<Probe>
where
    C: LoadConnection<Backend = Pg>,
{
    match ask(connection, "SELECT pg_current_xact_id_if_assigned()::text") {
        Ok(id) if mark.id.is_some() && id != mark.id => Ok(Probe::Ended),
        Ok(_) => Ok(Probe::Open),
        Err(cause) if class_of_cause(&cause) == Class::Disconnected => Err(cause),
        Err(DieselError::DatabaseError(..)) => Ok(whose_abort(connection, mark)),
        Err(cause) => Err(cause),
    }
}

/// A statement has failed in this transaction, or in another one that was begun after it: only the first one has
/// the savepoint. Where the statements are watched, there is none, and it would show that this one has ended.
fn whose_abort<C>(connection: &mut C, mark: &TransactionMark) -> Probe
where
    C: LoadConnection<Backend = Pg>,
{
    let to_it = format!("ROLLBACK TO {}", savepoint::set_sql(mark.open));
    if mark.id.is_none() || connection.batch_execute(&to_it).is_ok() {
        Probe::Aborted
    } else {
        Probe::Ended
    }
}

fn ask<C>(connection: &mut C, sql: &'static str) -> QueryResult<Option<String>>
where
    C: LoadConnection<Backend = Pg>,
{
    let statement = Statement::new(sql, &TableSchema::DEFAULT.messages, []);
    let id = first_row(connection, statement, |[id]| {
        Ok(id.optional_text("xid")?.map(str::to_owned))
    });
    id.map(Option::flatten)
}
