//! Transactions on async connections in which code of the application runs.

use diesel_async_0_9::AsyncConnection;

use crate::asynchronous::once::OnceAsync;
use crate::asynchronous::tables::AsyncTables;
use crate::error::Error;
use crate::sql::backend::PublishBackend;
use crate::sql::executor::on_async::OnAsync;
use crate::sql::own_transactions::{abandon, commit, depth, roll_back};
use crate::sql::transactions::{begin_guarded, state_at_end};
use crate::sql::watch::connections as watch;
use crate::store::transactions::{TransactionMark, TransactionState};

/// Runs `change` in a transaction, as
/// [`in_transaction`](crate::backend::TransactionControl::in_transaction) does on sync connections. Commits
/// it if `change` returns `Ok` and has left the transaction as it was, and rolls it back otherwise.
pub(super) async fn in_transaction<T, V, E, F>(tables: &mut T, change: F) -> Result<V, E>
where
    T: AsyncTables,
    for<'r> F: AsyncFnOnce(&'r mut T) -> Result<V, E>
        + OnceAsync<&'r mut T, Result<V, E>, Done: Send>
        + Send,
    V: Send,
    E: From<Error> + Send,
{
    let mut executor = OnAsync(tables.parts().0);
    T::Backend::follow_database(&mut executor);
    let around = depth(&mut executor);
    let mark = begin_guarded(&mut executor).await?;
    let mut running = Running {
        tables,
        mark,
        has_ended: false,
    };
    let changed = change(running.tables).await;
    let connection = running.tables.parts().0;
    let ended = match changed {
        Ok(value) => commit_if_open(connection, &running.mark)
            .await
            .map(|()| value)
            .map_err(E::from),
        failed => failed,
    };
    let mut executor = OnAsync(connection);
    while depth(&mut executor) > around {
        // The earlier error matters more than a rollback that fails after it: the transaction is gone in
        // any case, and the next use of the connection reports that.
        if roll_back(&mut executor).await.is_err() {
            break;
        }
    }
    running.has_ended = true;
    ended
}

/// A transaction that is not ended. If its future is dropped, or panics, the connection is marked as
/// broken, because no other code ends the transaction.
struct Running<'t, T: AsyncTables> {
    tables: &'t mut T,
    mark: TransactionMark,
    has_ended: bool,
}

impl<T: AsyncTables> Drop for Running<'_, T> {
    fn drop(&mut self) {
        let mut executor = OnAsync(self.tables.parts().0);
        watch::disarm(&mut executor, self.mark.open);
        if !self.has_ended {
            abandon(&mut executor);
        }
    }
}

async fn commit_if_open<C>(connection: &mut C, mark: &TransactionMark) -> Result<(), Error>
where
    C: AsyncConnection,
    C::Backend: PublishBackend,
{
    let mut executor = OnAsync(connection);
    match state_at_end(&mut executor, mark).await? {
        TransactionState::Open => commit(&mut executor).await,
        left => Err(left.into_error()),
    }
}
