use diesel::Connection;
#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
use diesel::connection::LoadConnection;
use diesel::connection::TransactionManager;

use crate::error::Error;
use crate::sql::backend::Probe;
use crate::sql::backend::StoreBackend;
use crate::sql::error::failed_while;
use crate::sql::tables::Tables;
use crate::sql::watch::{self, Noticed};
use crate::store::transactions::{
    TransactionControl, TransactionControlOn, TransactionMark, TransactionState,
};

/// Returns `true` if a transaction is open, as far as Diesel knows. A state that Diesel cannot tell
/// counts as open.
pub(super) fn is_in_transaction<C: Connection>(connection: &mut C) -> bool {
    let status = C::TransactionManager::transaction_manager_status_mut(connection);
    !matches!(status.transaction_depth(), Ok(None))
}

/// Returns the number of open transactions, as far as Diesel knows. A state that Diesel cannot tell
/// counts as none, because such a transaction cannot be ended.
pub(super) fn depth<C: Connection>(connection: &mut C) -> usize {
    let status = C::TransactionManager::transaction_manager_status_mut(connection);
    let depth = status.transaction_depth().ok().flatten();
    depth.map_or(0, |depth| depth.get() as usize)
}

/// Returns `true` if Diesel no longer uses the connection, because it was lost or a rollback
/// failed.
fn is_broken<C: Connection>(connection: &mut C) -> bool {
    let status = C::TransactionManager::transaction_manager_status_mut(connection);
    status.transaction_depth().is_err()
}

/// Marks the connection as broken, so that a pool of r2d2 does not hand it out again.
pub(super) fn abandon<C: Connection>(connection: &mut C) {
    C::TransactionManager::transaction_manager_status_mut(connection).set_in_error();
}

/// Runs statements of the library in a transaction of their own. The transaction needs no guard,
/// because these statements leave it as it is.
#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
pub(super) fn in_own_transaction<C, T>(
    connection: &mut C,
    change: impl FnOnce(&mut C) -> Result<T, Error>,
) -> Result<T, Error>
where
    C: LoadConnection,
    C::Backend: StoreBackend<C>,
{
    let around = depth(connection);
    connection.begin()?;
    let changed = change(connection).and_then(|value| connection.commit().map(|()| value));
    // A failed commit has already rolled back.
    if let Err(error) = changed {
        if depth(connection) > around
            && let Err(second) = connection.rollback()
        {
            return Err(error.followed_by(second));
        }
        return Err(error);
    }
    changed
}

#[diagnostic::do_not_recommend]
impl<T: Tables> TransactionControl for T {
    fn begin(&mut self) -> Result<(), Error> {
        let (connection, _) = self.parts();
        ManagerOf::<T>::begin_transaction(connection)
            .map_err(|cause| failed_while("beginning a transaction", cause))
    }

    fn commit(&mut self) -> Result<(), Error> {
        let (connection, _) = self.parts();
        ManagerOf::<T>::commit_transaction(connection)
            .map_err(|cause| failed_while("committing a transaction", cause))
    }

    fn rollback(&mut self) -> Result<(), Error> {
        let (connection, _) = self.parts();
        ManagerOf::<T>::rollback_transaction(connection)
            .map_err(|cause| failed_while("rolling back a transaction", cause))
    }

    fn transaction_depth(&mut self) -> usize {
        depth(self.parts().0)
    }

    fn begin_guarded(&mut self) -> Result<TransactionMark, Error> {
        let (connection, _) = self.parts();
        let open = depth(connection) + 1;
        let is_watched = watch::arm(connection, open, T::Backend::FAILING);
        let begun = T::Backend::begin_guarded(connection, is_watched);
        match begun {
            Ok(id) => {
                // So far, the watch has noticed only statements of the library.
                watch::forget(connection, open);
                Ok(TransactionMark { open, id })
            }
            Err(cause) => {
                watch::disarm(connection, open);
                let error = failed_while("beginning a transaction", cause);
                // The transaction may have begun, although it could not be marked.
                if depth(connection) >= open
                    && let Err(second) = self.rollback()
                {
                    return Err(error.followed_by(second));
                }
                Err(error)
            }
        }
    }

    fn state_of(&mut self, mark: &TransactionMark) -> Result<TransactionState, Error> {
        let (connection, _) = self.parts();
        let open = depth(connection);
        match watch::noticed(connection) {
            Some(noticed) if noticed.is_nothing() && open == mark.open => {
                Ok(TransactionState::Open)
            }
            noticed => {
                let noticed = noticed.cloned().unwrap_or_default();
                let state = ask(connection, mark, open, &noticed)?;
                watch::forget(connection, mark.open);
                Ok(state)
            }
        }
    }

    fn state_at_end(&mut self, mark: &TransactionMark) -> Result<TransactionState, Error> {
        let (connection, _) = self.parts();
        match watch::noticed(connection) {
            // Where Diesel hides errors, the watch has not noticed everything, so the database is
            // asked.
            Some(noticed) if T::Backend::FAILING.is_hidden_when_loaded => {
                let noticed = noticed.clone();
                let open = depth(connection);
                ask(connection, mark, open, &noticed)
            }
            _ => self.state_of(mark),
        }
    }

    fn end_guard(&mut self, mark: &TransactionMark) {
        watch::disarm(self.parts().0, mark.open);
    }
}

type ManagerOf<T> = <<T as Tables>::Connection as Connection>::TransactionManager;

/// Asks the database for the state of a transaction, where statements may have changed it or no
/// watch observed them.
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
    // For a lost connection, Diesel reports only the loss, and the server's answer means nothing.
    if is_broken(connection) || noticed.is_lost {
        let doing = "working in a transaction";
        return Err(Error::disconnected(doing, noticed.cause()));
    }
    let doing = || {
        let cause = noticed.cause();
        format!("asking for the state of a transaction in which this was done: {cause}")
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
impl<T, C> TransactionControlOn<C> for T
where
    T: Tables<Connection = C>,
{
    fn connection(&mut self) -> &mut C {
        self.parts().0
    }
}
