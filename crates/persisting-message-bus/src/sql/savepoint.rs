//! Savepoints that show whether a transaction is still the one that was begun. If the transaction
//! has ended, or has ended and another has begun, the savepoint no longer exists. Each level of
//! nested transactions has a savepoint with a name of its own.

#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
use diesel::result::{Error as DieselError, QueryResult};

#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
use crate::classify::chain::class_of_cause;
#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
use crate::sql::backend::Probe;
#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
use crate::sql::executor::Executor;
#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
use crate::store::transactions::TransactionMark;

/// Returns the SQL that sets the savepoint in the innermost of `open` open transactions.
pub(super) fn set_sql(open: usize) -> String {
    format!("SAVEPOINT persisting_message_bus_{open}")
}

/// Checks whether the savepoint exists. If so, sets it again, so that the savepoint does not keep
/// the changes that were made since.
#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
pub(super) async fn probe<E: Executor>(
    executor: &mut E,
    mark: &TransactionMark,
) -> QueryResult<Probe> {
    let set = set_sql(mark.open);
    match executor.run(&format!("RELEASE {set}; {set}")).await {
        Ok(()) => Ok(Probe::Open),
        Err(cause) if class_of_cause(&cause).is_lost() => Err(cause),
        Err(DieselError::DatabaseError(..)) => Ok(Probe::Ended),
        Err(cause) => Err(cause),
    }
}
