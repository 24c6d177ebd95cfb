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

    /// Runs `change` in a transaction, which is committed if it returns `Ok` and rolled back if it
    /// returns an error or panics.
    ///
    /// # Errors
    ///
    /// What `change` returns, or the error of the commit.
    fn in_transaction<T, E: From<Error>>(
        &mut self,
        change: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.begin()?;
        let mut transaction = OpenTransaction {
            bus: self,
            open: true,
        };
        let result = change(transaction.bus);
        transaction.open = false;
        match result {
            Ok(value) => transaction.bus.commit().map(|()| value).map_err(E::from),
            Err(error) => {
                // The cause is worth more than a roll back that failed after it: that transaction
                // is gone all the same, and the next use of the connection says so.
                drop(transaction.bus.roll_back());
                Err(error)
            }
        }
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

/// Rolls back when a panic unwinds through it.
struct OpenTransaction<'a, B: Transactions + ?Sized> {
    bus: &'a mut B,
    open: bool,
}

impl<B: Transactions + ?Sized> Drop for OpenTransaction<'_, B> {
    fn drop(&mut self) {
        if self.open {
            // As above: the panic is worth more.
            drop(self.bus.roll_back());
        }
    }
}
