//! Transactions on a connection: what Diesel knows of them, and those of the library itself.

#[cfg(feature = "mysql_backend")]
use diesel::result::{Error as DieselError, QueryResult};

use crate::error::Error;
use crate::sql::error::failed_while;
use crate::sql::executor::Executor;
#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
use crate::sql::executor::{now, on_sync::OnSync};

/// Returns `true` if a transaction is open, as far as Diesel knows. A state that Diesel cannot tell
/// counts as open.
pub(crate) fn is_in_transaction<E: Executor>(executor: &mut E) -> bool {
    !matches!(executor.status().transaction_depth(), Ok(None))
}

/// Returns the number of open transactions, as far as Diesel knows. A state that Diesel cannot tell
/// counts as none, because such a transaction cannot be ended.
pub(crate) fn depth<E: Executor>(executor: &mut E) -> usize {
    let depth = executor.status().transaction_depth().ok().flatten();
    depth.map_or(0, |depth| depth.get() as usize)
}

/// Returns `true` if Diesel no longer uses the connection, because it was lost or a rollback
/// failed.
pub(super) fn is_broken<E: Executor>(executor: &mut E) -> bool {
    executor.status().transaction_depth().is_err()
}

/// Marks the connection as broken, so that a pool does not hand it out again.
pub(crate) fn abandon<E: Executor>(executor: &mut E) {
    executor.status().set_in_error();
}

/// Begins a transaction. Returns the number of transactions around it.
pub(super) async fn begin<E: Executor>(executor: &mut E) -> Result<usize, Error> {
    let around = depth(executor);
    let begun = executor.begin().await;
    begun.map_err(|cause| failed_while("beginning a transaction", cause))?;
    Ok(around)
}

pub(crate) async fn commit<E: Executor>(executor: &mut E) -> Result<(), Error> {
    let committed = executor.commit().await;
    committed.map_err(|cause| failed_while("committing a transaction", cause))
}

pub(crate) async fn roll_back<E: Executor>(executor: &mut E) -> Result<(), Error> {
    let rolled_back = executor.roll_back().await;
    rolled_back.map_err(|cause| failed_while("rolling back a transaction", cause))
}

/// Ends a transaction of the library: commits it, or rolls it back after an error. It needs no guard,
/// because the library's statements leave a transaction as it is.
pub(super) async fn end<E: Executor, T>(
    executor: &mut E,
    around: usize,
    changed: Result<T, Error>,
) -> Result<T, Error> {
    let changed = match changed {
        Ok(value) => commit(executor).await.map(|()| value),
        failed => failed,
    };
    // A failed commit has already rolled back.
    if let Err(error) = changed {
        if depth(executor) > around
            && let Err(second) = roll_back(executor).await
        {
            return Err(error.followed_by(second));
        }
        return Err(error);
    }
    changed
}

/// Ends a transaction inside another one as Diesel does.
#[cfg(feature = "mysql_backend")]
pub(super) async fn end_inner<E: Executor, T>(
    executor: &mut E,
    changed: QueryResult<T>,
) -> QueryResult<T> {
    match changed {
        Ok(value) => executor.commit().await.map(|()| value),
        Err(cause) => match executor.roll_back().await {
            // The transaction around it is lost, too.
            Ok(()) | Err(DieselError::BrokenTransactionManager) => Err(cause),
            Err(second) => Err(second),
        },
    }
}

/// Runs statements of the library in a transaction of their own.
#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
pub(super) fn in_own_transaction<C, T>(
    connection: &mut C,
    change: impl FnOnce(&mut C) -> Result<T, Error>,
) -> Result<T, Error>
where
    for<'a> OnSync<'a, C>: Executor,
{
    let around = now(begin(&mut OnSync(connection)))?;
    let changed = change(connection);
    now(end(&mut OnSync(connection), around, changed))
}
