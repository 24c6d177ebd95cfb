//! Transactions in which code of the application runs: [`TransactionControl`] on connections, and the
//! state in which that code has left a transaction.

use crate::error::Error;
use crate::sql::backend::{Probe, PublishBackend};
use crate::sql::error::failed_while;
use crate::sql::executor::on_sync::OnSync;
use crate::sql::executor::{Executor, now};
use crate::sql::own_transactions::{begin, commit, depth, is_broken, roll_back};
use crate::sql::tables::Tables;
use crate::sql::watch::Noticed;
use crate::sql::watch::connections as watch;
use crate::store::transactions::{
    TransactionControl, TransactionControlOn, TransactionMark, TransactionState,
};

/// Begins a transaction in which code of the application runs, and marks it.
pub(crate) async fn begin_guarded<E>(executor: &mut E) -> Result<TransactionMark, Error>
where
    E: Executor,
    E::Backend: PublishBackend,
{
    let open = depth(executor) + 1;
    let is_watched = watch::arm(executor, open, E::Backend::FAILING);
    match E::Backend::begin_guarded(executor, is_watched).await {
        Ok(id) => {
            // So far, the watch has noticed only statements of the library.
            watch::forget(executor, open);
            Ok(TransactionMark { open, id })
        }
        Err(cause) => {
            watch::disarm(executor, open);
            let error = failed_while("beginning a transaction", cause);
            // The transaction may have begun, although it could not be marked.
            if depth(executor) >= open
                && let Err(second) = roll_back(executor).await
            {
                return Err(error.followed_by(second));
            }
            Err(error)
        }
    }
}

/// Returns the state of a transaction.
async fn state_of<E>(executor: &mut E, mark: &TransactionMark) -> Result<TransactionState, Error>
where
    E: Executor,
    E::Backend: PublishBackend,
{
    let open = depth(executor);
    match watch::noticed(executor) {
        Some(noticed) if noticed.is_nothing() && open == mark.open => Ok(TransactionState::Open),
        noticed => {
            let noticed = noticed.cloned().unwrap_or_default();
            let state = ask(executor, mark, open, &noticed).await?;
            watch::forget(executor, mark.open);
            Ok(state)
        }
    }
}

/// Returns the state of a transaction before its commit.
pub(crate) async fn state_at_end<E>(
    executor: &mut E,
    mark: &TransactionMark,
) -> Result<TransactionState, Error>
where
    E: Executor,
    E::Backend: PublishBackend,
{
    // Where Diesel hides errors, the watch has not noticed everything, so the database is asked.
    let noticed = if E::Backend::FAILING.is_hidden_when_loaded {
        watch::noticed(executor).cloned()
    } else {
        None
    };
    match noticed {
        Some(noticed) => {
            let open = depth(executor);
            ask(executor, mark, open, &noticed).await
        }
        None => state_of(executor, mark).await,
    }
}

/// Asks the database for the state of a transaction, where statements may have changed it or no
/// watch observed them.
async fn ask<E>(
    executor: &mut E,
    mark: &TransactionMark,
    open: usize,
    noticed: &Noticed,
) -> Result<TransactionState, Error>
where
    E: Executor,
    E::Backend: PublishBackend,
{
    // For a lost connection, Diesel reports only the loss, and the server's answer means nothing.
    if is_broken(executor) || noticed.is_lost {
        let doing = "working in a transaction";
        return Err(Error::disconnected(doing, noticed.cause()));
    }
    if open > mark.open {
        return Ok(mark.state_at(open));
    }
    let is_known = noticed.is_ended && !E::Backend::FAILING.probe_is_exact;
    let probe = if open < mark.open || is_known {
        Probe::Ended
    } else {
        let probe = E::Backend::probe(executor, mark).await;
        probe.map_err(|failure| {
            let cause = noticed.cause();
            let doing =
                format!("asking for the state of a transaction in which this was done: {cause}");
            failed_while(doing, failure)
        })?
    };
    Ok(match probe {
        Probe::Open => TransactionState::Open,
        Probe::Aborted => TransactionState::Aborted {
            cause: noticed.cause(),
        },
        Probe::Moved => TransactionState::Moved {
            cause: noticed.cause(),
        },
        Probe::Ended => TransactionState::Ended {
            cause: noticed.cause(),
            may_be_final: !noticed.is_rolled_back,
        },
    })
}

#[diagnostic::do_not_recommend]
impl<T: Tables> TransactionControl for T {
    fn begin(&mut self) -> Result<(), Error> {
        now(begin(&mut OnSync(self.parts().0)))
    }

    fn commit(&mut self) -> Result<(), Error> {
        now(commit(&mut OnSync(self.parts().0)))
    }

    fn rollback(&mut self) -> Result<(), Error> {
        now(roll_back(&mut OnSync(self.parts().0)))
    }

    fn transaction_depth(&mut self) -> usize {
        depth(&mut OnSync(self.parts().0))
    }

    fn begin_guarded(&mut self) -> Result<TransactionMark, Error> {
        now(begin_guarded(&mut OnSync(self.parts().0)))
    }

    fn state_of(&mut self, mark: &TransactionMark) -> Result<TransactionState, Error> {
        now(state_of(&mut OnSync(self.parts().0), mark))
    }

    fn state_at_end(&mut self, mark: &TransactionMark) -> Result<TransactionState, Error> {
        now(state_at_end(&mut OnSync(self.parts().0), mark))
    }

    fn end_guard(&mut self, mark: &TransactionMark) {
        watch::disarm(&mut OnSync(self.parts().0), mark.open);
    }
}

#[diagnostic::do_not_recommend]
impl<T, C> TransactionControlOn<C> for T
where
    T: Tables<Connection = C>,
{
    fn connection(&mut self) -> &mut C {
        self.parts().0
    }
}
