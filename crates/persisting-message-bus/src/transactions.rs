use crate::Error;

/// A bus whose changes can be made to take effect together.
///
/// Transactions nest: an inner one that rolls back undoes its own changes only.
pub trait Transactions {
    /// Starts a transaction.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    fn begin(&mut self) -> Result<(), Error>;

    /// Makes the changes since `begin` take effect.
    ///
    /// # Errors
    ///
    /// When the database refuses; nothing has taken effect then, unless a statement made the database
    /// end the transaction before (`ON CONFLICT ROLLBACK` does).
    fn commit(&mut self) -> Result<(), Error>;

    /// Undoes the changes since `begin`.
    ///
    /// # Errors
    ///
    /// When the database cannot be reached; it rolls back by itself then.
    fn roll_back(&mut self) -> Result<(), Error>;

    /// How many transactions are open, one in the other.
    fn open_transactions(&mut self) -> usize;

    /// Runs `change` in a transaction, which is committed if it returns `Ok` and rolled back if it
    /// returns an error or panics.
    ///
    /// What `change` has begun in it and not ended, as after a panic, is rolled back too.
    ///
    /// # Errors
    ///
    /// What `change` returns, or the error of the commit; or when `change` returns `Ok` and has left a
    /// transaction open. Nothing has taken effect then.
    fn in_transaction<T, E: From<Error>>(
        &mut self,
        change: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let around = self.open_transactions();
        self.begin()?;
        let transaction = OpenTransaction { bus: self, around };
        let value = change(transaction.bus)?;
        if transaction.bus.open_transactions() > around + 1 {
            let problem = "a transaction that was begun in it was not ended";
            return Err(Error::repository("committing a transaction", problem, false).into());
        }
        transaction.bus.commit()?;
        Ok(value)
    }
}

/// A bus on which a transactional handler can make its own changes through a connection `C`.
#[diagnostic::on_unimplemented(
    message = "a handler on `{C}` cannot work on `{Self}`",
    label = "this bus has no `{C}`",
    note = "hand in the connection that is the handler's first argument, or change that argument"
)]
pub trait TransactionsOn<C: ?Sized>: Transactions {
    /// The connection on which the transactions are.
    fn connection(&mut self) -> &mut C;
}

/// Rolls back what is open when it goes away: the transaction, unless it was committed, and what was
/// begun in it.
struct OpenTransaction<'a, B: Transactions + ?Sized> {
    bus: &'a mut B,
    /// How many transactions are open around it.
    around: usize,
}

impl<B: Transactions + ?Sized> Drop for OpenTransaction<'_, B> {
    fn drop(&mut self) {
        while self.bus.open_transactions() > self.around {
            // The error that led here is worth more than a roll back that fails after it: that
            // transaction is gone all the same, and the next use of the connection says so.
            if self.bus.roll_back().is_err() {
                return;
            }
        }
    }
}
