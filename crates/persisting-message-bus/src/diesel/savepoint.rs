//! Savepoints that tell whether a transaction is still the one that was begun: one that is gone, or was ended
//! and begun again, does not have them. Each level of transactions has one of its own name.

#[cfg(any(feature = "sqlite", feature = "mysql"))]
use diesel::connection::Connection;
#[cfg(any(feature = "sqlite", feature = "mysql"))]
use diesel::result::{Error as DieselError, QueryResult};

#[cfg(any(feature = "sqlite", feature = "mysql"))]
use super::backend::Probe;
#[cfg(any(feature = "sqlite", feature = "mysql"))]
use super::class::class_of_cause;
#[cfg(any(feature = "sqlite", feature = "mysql"))]
use crate::TransactionMark;
#[cfg(any(feature = "sqlite", feature = "mysql"))]
use crate::error::class::Class;

/// Sets it, in the innermost of so many open transactions.
pub(super) fn set_sql(open: usize) -> String {
    format!("SAVEPOINT persisting_message_bus_{open}")
}

/// Whether it is there. It is set again, so that it does not keep what was done meanwhile.
#[cfg(any(feature = "sqlite", feature = "mysql"))]
pub(super) fn probe<C: Connection>(
    connection: &mut C,
    mark: &TransactionMark,
) -> QueryResult<Probe> {
    let set = set_sql(mark.open);
    match connection.batch_execute(&format!("RELEASE {set}; {set}")) {
        Ok(()) => Ok(Probe::Open),
        Err(cause) if class_of_cause(&cause) == Class::Disconnected => Err(cause),
        Err(DieselError::DatabaseError(..)) => Ok(Probe::Ended),
        Err(cause) => Err(cause),
    }
}
