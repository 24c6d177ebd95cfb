use crate::error::Error;
use crate::error::kind::Kind;

/// A bus whose changes can take effect together.
///
/// Transactions nest: an inner transaction that rolls back undoes only its own changes.
pub trait TransactionControl {
    /// Begins a transaction.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    fn begin(&mut self) -> Result<(), Error>;

    /// Commits the changes since `begin`.
    ///
    /// # Errors
    ///
    /// If the database refuses. Nothing has taken effect then, unless a statement made the database
    /// end the transaction before (`ON CONFLICT ROLLBACK` does).
    fn commit(&mut self) -> Result<(), Error>;

    /// Undoes the changes since `begin`.
    ///
    /// # Errors
    ///
    /// If the database cannot be reached. The database then rolls back by itself.
    fn rollback(&mut self) -> Result<(), Error>;

    /// Returns the number of open transactions, each nested in the one before.
    fn transaction_depth(&mut self) -> usize;

    /// Begins a transaction for application code, and marks it. Afterwards,
    /// [`state_of`](Self::state_of) can determine what that code did to the transaction.
    ///
    /// The default implementation is enough if transactions end only through this trait.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    fn begin_guarded(&mut self) -> Result<TransactionMark, Error> {
        self.begin()?;
        Ok(TransactionMark::new(self.transaction_depth()))
    }

    /// Returns the state of a transaction.
    ///
    /// It is called after each message of a transactional handler, so it must cost almost nothing
    /// while the transaction is intact.
    ///
    /// # Errors
    ///
    /// If the database cannot be asked. It has then rolled the transaction back.
    fn state_of(&mut self, mark: &TransactionMark) -> Result<TransactionState, Error> {
        Ok(mark.state_at(self.transaction_depth()))
    }

    /// Returns the state of a transaction before its commit. It is called once, so it can cost
    /// more, and it must see what [`state_of`](Self::state_of) can miss.
    ///
    /// # Errors
    ///
    /// If the database cannot be asked. It has then rolled the transaction back.
    fn state_at_end(&mut self, mark: &TransactionMark) -> Result<TransactionState, Error> {
        self.state_of(mark)
    }

    /// Ends the guard of a transaction that has been committed or rolled back. Its state is not
    /// read again.
    fn end_guard(&mut self, _mark: &TransactionMark) {}

    /// Runs `change` in a transaction. Commits it if `change` returns `Ok`, and rolls it back if
    /// `change` returns an error or panics.
    ///
    /// Transactions that `change` has begun inside and not ended, for example because of a panic,
    /// are rolled back too.
    ///
    /// # Errors
    ///
    /// - The error that `change` returns.
    /// - The error of the commit.
    /// - If `change` returns `Ok`, but the transaction is no longer the one that was begun.
    ///   `change` ignored an error after which the database keeps nothing, ran a statement that
    ///   commits by itself, or left a transaction open. Nothing has taken effect then, except for
    ///   changes that the database had committed before; the error says so.
    fn in_transaction<T, E: From<Error>>(
        &mut self,
        change: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut transaction = Guarded::begin(self)?;
        let value = change(transaction.bus())?;
        match transaction.state_at_end()? {
            TransactionState::Open => transaction.commit()?,
            left => return Err(left.into_error().into()),
        }
        Ok(value)
    }
}

/// A bus on which a transactional handler can make its own changes through a connection `C`.
#[diagnostic::on_unimplemented(
    message = "a handler on `{C}` cannot work on `{Self}`",
    label = "this bus has no `{C}`",
    note = "hand in the connection that is the handler's first argument, or change that argument",
    note = "a function on a plain connection also works on a pooled one: `|pooled: &mut PooledConnection<_>, message| function(pooled, message)`",
    note = "with diesel-async, use `asynchronous::MessageConsumer` and `asynchronous::Runner`: the handler's first argument is the connection that the runner opens, such as `&mut Object<AsyncPgConnection>` from a deadpool"
)]
pub trait TransactionControlOn<C: ?Sized>: TransactionControl {
    /// Returns the connection on which the transactions are.
    fn connection(&mut self) -> &mut C;

    /// Calls application code with the connection. By default, it only calls it; implement it if the
    /// connection needs something around that code.
    fn lend<T>(&mut self, code: impl FnOnce(&mut C) -> T) -> T {
        code(self.connection())
    }
}

/// The cause that is given for a transaction that has ended if its statements were not watched.
pub(crate) const UNKNOWN_CAUSE: &str = "a statement that is not known";

/// Identifies a transaction among others on the same connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionMark {
    /// The transaction depth inside it: itself and the transactions around it.
    pub open: usize,
    /// The database's id of the transaction, if the database was asked.
    pub id: Option<String>,
}

/// The state of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransactionState {
    /// It is the transaction that was begun, and it can be committed.
    Open,
    /// It can only be rolled back. Nothing of it has taken effect.
    Aborted {
        /// The cause: a statement and its error.
        cause: String,
    },
    /// It is open, but a statement has selected another database (`USE`). It is rolled back, because
    /// later statements of the library would use the tables of that database.
    Moved {
        /// The cause: a statement.
        cause: String,
    },
    /// It has ended, and later statements ran outside of it.
    Ended {
        /// The cause: a statement, and its error if it failed.
        cause: String,
        /// Whether changes may have taken effect: those made before a commit or after a rollback.
        may_be_final: bool,
    },
}

impl TransactionMark {
    /// Creates the mark of the innermost of `open` open transactions.
    #[must_use]
    pub const fn new(open: usize) -> Self {
        Self { open, id: None }
    }

    /// Returns the state as far as the number of open transactions shows it.
    #[must_use]
    pub fn state_at(&self, open: usize) -> TransactionState {
        if open > self.open {
            let cause = "a transaction that was begun in it was not ended".to_owned();
            TransactionState::Aborted { cause }
        } else if open < self.open {
            let cause = "it was committed or rolled back".to_owned();
            TransactionState::Ended {
                cause,
                may_be_final: true,
            }
        } else {
            TransactionState::Open
        }
    }
}

/// A transaction in which application code runs. If it is dropped without a commit, it is rolled
/// back together with the transactions that were begun inside.
pub struct Guarded<'a, B: TransactionControl + ?Sized> {
    bus: &'a mut B,
    mark: TransactionMark,
    /// The number of open transactions around it.
    around: usize,
}

impl<'a, B: TransactionControl + ?Sized> Guarded<'a, B> {
    pub(crate) fn begin(bus: &'a mut B) -> Result<Self, Error> {
        let around = bus.transaction_depth();
        let mark = bus.begin_guarded()?;
        Ok(Self { bus, mark, around })
    }

    pub(crate) fn bus(&mut self) -> &mut B {
        self.bus
    }

    /// Returns its state.
    pub(crate) fn state(&mut self) -> Result<TransactionState, Error> {
        self.bus.state_of(&self.mark)
    }

    /// Returns its state before the commit.
    pub(crate) fn state_at_end(&mut self) -> Result<TransactionState, Error> {
        self.bus.state_at_end(&self.mark)
    }

    /// Commits it. The caller must have checked its state at the end.
    pub(crate) fn commit(self) -> Result<(), Error> {
        self.bus.commit()
    }
}

impl<B: TransactionControl + ?Sized> Drop for Guarded<'_, B> {
    fn drop(&mut self) {
        while self.bus.transaction_depth() > self.around {
            // The earlier error matters more than a rollback that fails after it: the transaction
            // is gone in any case, and the next use of the connection reports that.
            if self.bus.rollback().is_err() {
                break;
            }
        }
        self.bus.end_guard(&self.mark);
    }
}

impl TransactionState {
    /// Describes what happened to the transaction, and the next step.
    pub(crate) fn advice(&self) -> String {
        match self {
            Self::Open => "it is open".to_owned(),
            Self::Aborted { cause } => format!(
                "it continued after a failed statement, so the database discards all of it: {cause}. \
             Nothing has taken effect. Return the error, or run statements that can fail in a \
             nested transaction"
            ),
            Self::Moved { cause } => format!(
                "another database was selected in it: {cause}. Nothing has taken effect, and the \
                 former database is selected again. Write the other database before the table \
                 (`other`.`table`), or select the former database again with USE"
            ),
            Self::Ended {
                cause,
                may_be_final: false,
            } => format!(
                "the database rolled it back after this error, which was ignored: {cause}. \
             Nothing has taken effect. Return the error"
            ),
            Self::Ended { cause, .. } => format!(
                "a statement ended it: {cause}. Changes before a commit or after a rollback have taken \
             effect and cannot be undone, so a retry repeats them. Keep statements that commit by \
             themselves (DDL, TRUNCATE, LOCK TABLES), COMMIT and ROLLBACK out of it, and return \
             errors"
            ),
        }
    }

    /// Creates the error of a change that has left its transaction.
    pub(crate) fn into_error(self) -> Error {
        let is_final = !matches!(
            self,
            Self::Ended {
                may_be_final: false,
                ..
            }
        );
        Kind::TransactionLeft {
            left: self.advice(),
            is_final,
        }
        .into()
    }
}
