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

pub(super) async fn begin<E: Executor>(executor: &mut E) -> Result<(), Error> {
    let begun = executor.begin().await;
    begun.map_err(|cause| failed_while("beginning a transaction", cause))
}

pub(crate) async fn commit<E: Executor>(executor: &mut E) -> Result<(), Error> {
    let committed = executor.commit().await;
    committed.map_err(|cause| failed_while("committing a transaction", cause))
}

pub(crate) async fn roll_back<E: Executor>(executor: &mut E) -> Result<(), Error> {
    let rolled_back = executor.roll_back().await;
    rolled_back.map_err(|cause| failed_while("rolling back a transaction", cause))
}

/// A transaction of the library. It needs no guard, because the library's statements leave a
/// transaction as it is.
///
/// An async function can be dropped at each of its awaits. If the transaction is not ended then, the
/// connection is of no use any more: later statements would become part of the transaction, which
/// no caller ends. So the connection is marked as broken, and Diesel runs nothing on it.
pub(super) struct OwnTransaction<'e, E: Executor> {
    pub(super) executor: &'e mut E,
    /// The number of transactions around it.
    around: usize,
    has_ended: bool,
}

impl<'e, E: Executor> OwnTransaction<'e, E> {
    pub(super) async fn begin(executor: &'e mut E) -> Result<Self, Error> {
        let around = depth(executor);
        let mut transaction = Self {
            executor,
            around,
            has_ended: false,
        };
        let begun = begin(transaction.executor).await;
        transaction.has_ended = begun.is_err();
        begun.map(|()| transaction)
    }

    /// Commits the transaction, or rolls it back after an error.
    pub(super) async fn end<T>(mut self, changed: Result<T, Error>) -> Result<T, Error> {
        let changed = match changed {
            Ok(value) => commit(self.executor).await.map(|()| value),
            failed => failed,
        };
        // A failed commit has already rolled back.
        let rolled_back = if changed.is_err() && depth(self.executor) > self.around {
            roll_back(self.executor).await
        } else {
            Ok(())
        };
        self.has_ended = true;
        match (changed, rolled_back) {
            (Err(error), Err(second)) => Err(error.followed_by(second)),
            (changed, _) => changed,
        }
    }
}

impl<E: Executor> Drop for OwnTransaction<'_, E> {
    fn drop(&mut self) {
        if !self.has_ended {
            abandon(self.executor);
        }
    }
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
    let executor = &mut OnSync(connection);
    let transaction = now(OwnTransaction::begin(executor))?;
    let changed = change(transaction.executor.0);
    now(transaction.end(changed))
}
