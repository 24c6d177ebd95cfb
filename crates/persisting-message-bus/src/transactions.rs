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

    /// Starts a transaction in which code of the application is to run, and marks it, so that
    /// [`state_of`](Self::state_of) can tell afterwards what that code did to it.
    ///
    /// This is enough where a transaction ends through this trait only.
    ///
    /// # Errors
    ///
    /// When the database refuses.
    fn begin_guarded(&mut self) -> Result<TransactionMark, Error> {
        self.begin()?;
        Ok(TransactionMark::new(self.open_transactions()))
    }

    /// What has become of a transaction.
    ///
    /// It is asked after each message of a transactional handler, so it has to cost next to nothing while
    /// nothing has happened to the transaction.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked. It has rolled the transaction back then.
    fn state_of(&mut self, mark: &TransactionMark) -> Result<TransactionState, Error> {
        Ok(mark.state_at(self.open_transactions()))
    }

    /// The same, before the transaction is committed. It is asked once, so that it may cost more, and has to see
    /// what [`state_of`](Self::state_of) may miss.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked. It has rolled the transaction back then.
    fn state_at_end(&mut self, mark: &TransactionMark) -> Result<TransactionState, Error> {
        self.state_of(mark)
    }

    /// Nobody asks for the state of that transaction any more. It has been committed or rolled back.
    fn end_guard(&mut self, _mark: &TransactionMark) {}

    /// Runs `change` in a transaction, which is committed if it returns `Ok` and rolled back if it
    /// returns an error or panics.
    ///
    /// What `change` has begun in it and not ended, as after a panic, is rolled back too.
    ///
    /// # Errors
    ///
    /// What `change` returns, or the error of the commit; or when `change` returns `Ok`, and the
    /// transaction is not the one that was begun any more: it ignored the error of a statement after which
    /// the database keeps nothing, or ran one that commits by itself, or has left a transaction open.
    /// Nothing has taken effect then, but for what the database had committed before; the error says so.
    fn in_transaction<T, E: From<Error>>(
        &mut self,
        change: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut transaction = Guarded::begin(self)?;
        let value = change(transaction.bus())?;
        match transaction.state_at_end()? {
            TransactionState::Open => transaction.commit()?,
            left => return Err(Error::transaction_left(left).into()),
        }
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

/// What is said of a transaction that has ended where nobody watched its statements.
pub(crate) const UNKNOWN_CAUSE: &str = "what it did is not known";

/// Tells a transaction from others on the same connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionMark {
    /// How many transactions are open in it, and it is one of them.
    pub open: usize,
    /// What the database calls it, where it was asked.
    pub id: Option<String>,
}

/// What has become of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransactionState {
    /// It is the one that was begun, and can be committed.
    Open,
    /// It can only be rolled back. Nothing of it is final.
    Aborted {
        /// What did that: a statement and its error.
        cause: String,
    },
    /// It is over, and what was done after that was done without it.
    Ended {
        /// What did that: a statement, and its error if it failed.
        cause: String,
        /// Whether something may have taken effect: what was done before a commit, or after a roll back.
        may_be_final: bool,
    },
}

impl TransactionMark {
    /// Of the innermost of so many open transactions.
    #[must_use]
    pub const fn new(open: usize) -> Self {
        Self { open, id: None }
    }

    /// What can be told by the number of transactions that are open now.
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

/// A transaction in which code of the application runs. It is rolled back when this goes away, with
/// what was begun in it, unless it was committed.
pub struct Guarded<'a, B: Transactions + ?Sized> {
    bus: &'a mut B,
    mark: TransactionMark,
    /// How many transactions are open around it.
    around: usize,
}

impl<'a, B: Transactions + ?Sized> Guarded<'a, B> {
    pub(crate) fn begin(bus: &'a mut B) -> Result<Self, Error> {
        let around = bus.open_transactions();
        let mark = bus.begin_guarded()?;
        Ok(Self { bus, mark, around })
    }

    pub(crate) fn bus(&mut self) -> &mut B {
        self.bus
    }

    /// What has become of it.
    pub(crate) fn state(&mut self) -> Result<TransactionState, Error> {
        self.bus.state_of(&self.mark)
    }

    /// What has become of it, before it is committed.
    pub(crate) fn state_at_end(&mut self) -> Result<TransactionState, Error> {
        self.bus.state_at_end(&self.mark)
    }

    /// Commits it. Whoever calls this has asked for its state at the end.
    pub(crate) fn commit(self) -> Result<(), Error> {
        self.bus.commit()
    }
}

impl<B: Transactions + ?Sized> Drop for Guarded<'_, B> {
    fn drop(&mut self) {
        while self.bus.open_transactions() > self.around {
            // The error that led here is worth more than a roll back that fails after it: that
            // transaction is gone all the same, and the next use of the connection says so.
            if self.bus.roll_back().is_err() {
                break;
            }
        }
        self.bus.end_guard(&self.mark);
    }
}
