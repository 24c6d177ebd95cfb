use diesel::Connection;
use diesel::connection::TransactionManager;

use super::error::failed_while;
use super::{OnTables, StoreBackend};
use crate::{Error, Transactions, TransactionsOn};

/// Whether a transaction is open, as far as Diesel knows. What it cannot tell is one.
pub(super) fn is_in_transaction<C: Connection>(connection: &mut C) -> bool {
    let status = C::TransactionManager::transaction_manager_status_mut(connection);
    !matches!(status.transaction_depth(), Ok(None))
}

/// How many are open, as far as Diesel knows. What it cannot tell is none: nobody can end it.
fn open_transactions<C: Connection>(connection: &mut C) -> usize {
    let status = C::TransactionManager::transaction_manager_status_mut(connection);
    let depth = status.transaction_depth().ok().flatten();
    depth.map_or(0, |depth| depth.get() as usize)
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
