//! What PostgreSQL says of a transaction.

use diesel::connection::LoadConnection;
use diesel::pg::Pg;
use diesel::result::{Error as DieselError, QueryResult};

use crate::TransactionMark;
use crate::diesel::TableSchema;
use crate::diesel::backend::Probe;
use crate::diesel::class::class_of_cause;
use crate::diesel::rows::first_row;
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
        Err(DieselError::DatabaseError(..)) => Ok(Probe::Aborted),
        Err(cause) => Err(cause),
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
