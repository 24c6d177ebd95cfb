use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::error::Error;
use crate::locks::{lock, unpoisoned};

/// The default timeout of the SQL backends.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A handle to a shared value that changes in transactions, one at a time.
///
/// Readers see committed data, or the data of their own open transaction.
#[derive(Debug)]
pub(super) struct Shared<T> {
    cell: Arc<Cell<T>>,
    /// The copies that this handle's open transactions work on, the innermost last.
    open: Vec<Copy<T>>,
    /// The number of transactions that were begun.
    begun: u64,
}

#[derive(Debug)]
struct Copy<T> {
    value: T,
    /// The number of the transaction, counted per handle.
    number: u64,
}

#[derive(Debug, Default)]
struct Cell<T> {
    committed: Mutex<T>,
    /// Whether a handle has the right to write.
    writing: Mutex<bool>,
    writer_left: Condvar,
}

impl<T: Clone> Shared<T> {
    pub(super) fn read<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        match self.open.last() {
            Some(copy) => read(&copy.value),
            None => read(&lock(&self.cell.committed)),
        }
    }

    /// Changes the value, in the open transaction or in one of its own. `change` must leave the
    /// value unchanged if it returns an error.
    pub(super) fn write<R>(
        &mut self,
        change: impl FnOnce(&mut T) -> Result<R, Error>,
    ) -> Result<R, Error> {
        if let Some(copy) = self.open.last_mut() {
            return change(&mut copy.value);
        }
        self.cell.start_writing()?;
        let result = change(&mut lock(&self.cell.committed));
        self.cell.stop_writing();
        result
    }

    pub(super) fn begin(&mut self) -> Result<(), Error> {
        if self.open.is_empty() {
            self.cell.start_writing()?;
        }
        self.begun += 1;
        let (value, number) = (self.read(T::clone), self.begun);
        self.open.push(Copy { value, number });
        Ok(())
    }

    pub(super) fn transaction_depth(&self) -> usize {
        self.open.len()
    }

    /// Returns the number of the transaction at depth `open`.
    pub(super) fn number_of(&self, open: usize) -> Option<u64> {
        let copy = self.open.get(open.checked_sub(1)?)?;
        Some(copy.number)
    }

    pub(super) fn commit(&mut self) -> Result<(), Error> {
        let changed = self.open.pop().ok_or_else(no_transaction)?;
        if let Some(outer) = self.open.last_mut() {
            outer.value = changed.value;
        } else {
            *lock(&self.cell.committed) = changed.value;
            self.cell.stop_writing();
        }
        Ok(())
    }

    pub(super) fn rollback(&mut self) -> Result<(), Error> {
        self.open.pop().ok_or_else(no_transaction)?;
        if self.open.is_empty() {
            self.cell.stop_writing();
        }
        Ok(())
    }
}

impl<T> Cell<T> {
    fn start_writing(&self) -> Result<(), Error> {
        let writing = lock(&self.writing);
        let free = self
            .writer_left
            .wait_timeout_while(writing, BUSY_TIMEOUT, |writing| *writing);
        let (mut writing, waited) = unpoisoned(free);
        if waited.timed_out() {
            let cause = "another transaction on the same in-memory bus is open";
            return Err(Error::transient("waiting for another writer", cause));
        }
        *writing = true;
        Ok(())
    }

    fn stop_writing(&self) {
        *lock(&self.writing) = false;
        self.writer_left.notify_one();
    }
}

fn no_transaction() -> Error {
    Error::permanent("ending a transaction", "no transaction is open")
}

impl<T: Default> Default for Shared<T> {
    fn default() -> Self {
        Self {
            cell: Arc::default(),
            open: Vec::new(),
            begun: 0,
        }
    }
}

/// A clone is another handle to the same value, outside of this handle's transactions.
impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self {
            cell: Arc::clone(&self.cell),
            open: Vec::new(),
            begun: 0,
        }
    }
}

/// A handle that is dropped in a transaction rolls back.
impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        if !self.open.is_empty() {
            self.cell.stop_writing();
        }
    }
}
