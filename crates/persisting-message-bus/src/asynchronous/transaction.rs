//! Transactions on async connections in which code of the application runs.

use diesel_async_0_9::AsyncConnection;

use crate::asynchronous::once::OnceAsync;
use crate::asynchronous::tables::AsyncTables;
use crate::error::Error;
use crate::sql::backend::PublishBackend;
use crate::sql::executor::on_async::OnAsync;
use crate::sql::own_transactions::{commit, depth, roll_back};
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
    let changed = change(tables).await;
    let connection = tables.parts().0;
    let ended = match changed {
        Ok(value) => commit_if_open(connection, &mark)
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
    watch::disarm(&mut executor, mark.open);
    ended
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
