use diesel::Connection;
use diesel::connection::TransactionManager;

use super::backend::Probe;
use super::error::failed_while;
use super::watch::{self, Noticed};
use super::{OnTables, StoreBackend};
use crate::{Error, TransactionMark, TransactionState, Transactions, TransactionsOn};

/// Whether a transaction is open, as far as Diesel knows. What it cannot tell is one.
pub(super) fn is_in_transaction<C: Connection>(connection: &mut C) -> bool {
    let status = C::TransactionManager::transaction_manager_status_mut(connection);
    !matches!(status.transaction_depth(), Ok(None))
}

/// How many are open, as far as Diesel knows. What it cannot tell is none: nobody can end it.
pub(super) fn open_transactions<C: Connection>(connection: &mut C) -> usize {
    let status = C::TransactionManager::transaction_manager_status_mut(connection);
    let depth = status.transaction_depth().ok().flatten();
    depth.map_or(0, |depth| depth.get() as usize)
}

/// Whether Diesel has given up on the connection: after it was lost, or a roll back failed.
fn is_broken<C: Connection>(connection: &mut C) -> bool {
    let status = C::TransactionManager::transaction_manager_status_mut(connection);
    status.transaction_depth().is_err()
}

/// Runs statements of the library in a transaction of their own. They leave it as it is, so that it need not be
/// guarded.
#[cfg(any(feature = "sqlite", feature = "mysql"))]
pub(super) fn in_own_transaction<C, T>(
    connection: &mut C,
    change: impl FnOnce(&mut C) -> Result<T, Error>,
) -> Result<T, Error>
where
    C: Connection,
    C::Backend: StoreBackend<C>,
{
    let around = open_transactions(connection);
    connection.begin()?;
    let changed = change(connection).and_then(|value| connection.commit().map(|()| value));
    // A commit that fails has rolled back.
    if let Err(error) = changed {
        if open_transactions(connection) > around
            && let Err(second) = connection.roll_back()
        {
            return Err(error.followed_by(second));
        }
        return Err(error);
    }
    changed
}

impl<C> Transactions for C
where
    C: Connection,
    C::Backend: StoreBackend<C>,
{
    fn begin(&mut self) -> Result<(), Error> {
        C::TransactionManager::begin_transaction(self)
            .map_err(|cause| failed_while("beginning a transaction", cause))
    }

    fn commit(&mut self) -> Result<(), Error> {
        C::TransactionManager::commit_transaction(self)
            .map_err(|cause| failed_while("committing a transaction", cause))
    }

    fn roll_back(&mut self) -> Result<(), Error> {
        C::TransactionManager::rollback_transaction(self)
            .map_err(|cause| failed_while("rolling back a transaction", cause))
    }

    fn open_transactions(&mut self) -> usize {
        open_transactions(self)
    }

    fn begin_guarded(&mut self) -> Result<TransactionMark, Error> {
        let open = open_transactions(self) + 1;
        let is_watched = watch::arm(self, open, C::Backend::FAILING);
        let id = C::Backend::begin_guarded(self, is_watched).map_err(|cause| {
            watch::disarm(self, open);
            let mut error = failed_while("beginning a transaction", cause);
            // It may have begun, and could not be marked.
            if open_transactions(self) >= open
                && let Err(second) = self.roll_back()
            {
                error = error.followed_by(second);
            }
            error
        })?;
        // What was noticed up to here is the library's own.
        watch::forget(self, open);
        Ok(TransactionMark { open, id })
    }

    fn state_of(&mut self, mark: &TransactionMark) -> Result<TransactionState, Error> {
        let open = open_transactions(self);
        match watch::noticed(self) {
            Some(noticed) if noticed.is_nothing() && open == mark.open => {
                Ok(TransactionState::Open)
            }
            noticed => {
                let noticed = noticed.cloned().unwrap_or_default();
                let state = ask(self, mark, open, &noticed)?;
                watch::forget(self, mark.open);
                Ok(state)
            }
        }
    }

    fn state_at_end(&mut self, mark: &TransactionMark) -> Result<TransactionState, Error> {
        match watch::noticed(self) {
            // Where an error may be hidden, what was noticed is not all that there was.
            Some(noticed) if C::Backend::FAILING.is_hidden_when_loaded => {
                let noticed = noticed.clone();
                let open = open_transactions(self);
                ask(self, mark, open, &noticed)
            }
            _ => self.state_of(mark),
        }
    }

    fn end_guard(&mut self, mark: &TransactionMark) {
        watch::disarm(self, mark.open);
    }
}

/// Asks the database, where statements may have done something to the transaction, or nobody watched them.
fn ask<C>(
    connection: &mut C,
    mark: &TransactionMark,
    open: usize,
    noticed: &Noticed,
) -> Result<TransactionState, Error>
where
    C: Connection,
    C::Backend: StoreBackend<C>,
{
    // Of a connection that is lost, Diesel says no more than that, and a server may say anything.
    if is_broken(connection) || noticed.is_lost {
        let doing = "working in a transaction";
        return Err(Error::disconnected(doing, noticed.cause()));
    }
    let doing = || {
        let cause = noticed.cause();
        format!("asking what became of a transaction in which this was done: {cause}")
    };
    if open > mark.open {
        return Ok(mark.state_at(open));
    }
    let is_known = noticed.is_ended && !C::Backend::FAILING.probe_is_exact;
    let probe = if open < mark.open || is_known {
        Probe::Ended
    } else {
        C::Backend::probe(connection, mark).map_err(|cause| failed_while(doing(), cause))?
    };
    Ok(match probe {
        Probe::Open => TransactionState::Open,
        Probe::Aborted => TransactionState::Aborted {
            cause: noticed.cause(),
        },
        Probe::Ended => TransactionState::Ended {
            cause: noticed.cause(),
            may_be_final: !noticed.is_rolled_back,
        },
    })
}

impl<C> TransactionsOn<C> for C
where
    C: Connection,
    C::Backend: StoreBackend<C>,
{
    fn connection(&mut self) -> &mut C {
        self
    }
}

impl<C> Transactions for OnTables<'_, C>
where
    C: Connection,
    C::Backend: StoreBackend<C>,
{
    fn begin(&mut self) -> Result<(), Error> {
        self.connection.begin()
    }

    fn commit(&mut self) -> Result<(), Error> {
        self.connection.commit()
    }

    fn roll_back(&mut self) -> Result<(), Error> {
        self.connection.roll_back()
    }

    fn open_transactions(&mut self) -> usize {
        self.connection.open_transactions()
    }

    fn begin_guarded(&mut self) -> Result<TransactionMark, Error> {
        self.connection.begin_guarded()
    }

    fn state_of(&mut self, mark: &TransactionMark) -> Result<TransactionState, Error> {
        self.connection.state_of(mark)
    }

    fn state_at_end(&mut self, mark: &TransactionMark) -> Result<TransactionState, Error> {
        self.connection.state_at_end(mark)
    }

    fn end_guard(&mut self, mark: &TransactionMark) {
        self.connection.end_guard(mark);
    }
}

impl<C> TransactionsOn<C> for OnTables<'_, C>
where
    C: Connection,
    C::Backend: StoreBackend<C>,
{
    fn connection(&mut self) -> &mut C {
        self.connection
    }
}
