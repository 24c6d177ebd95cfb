use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A handle to a shared value that changes in transactions, one at a time.
///
/// Readers see what is committed, or their own open transaction.
#[derive(Debug)]
pub(super) struct Shared<T> {
    cell: Arc<Cell<T>>,
    /// Copies that this handle's open transactions work on, the innermost last.
    open: Vec<T>,
}

#[derive(Debug, Default)]
struct Cell<T> {
    committed: Mutex<T>,
    /// Whether some handle has the right to write.
    writing: Mutex<bool>,
    writer_left: Condvar,
}

impl<T: Clone> Shared<T> {
    pub(super) fn read<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        match self.open.last() {
            Some(copy) => read(copy),
            None => read(&lock(&self.cell.committed)),
        }
    }

    /// Changes the value, in the open transaction or in one of its own. `change` has to leave the
    /// value as it is where it returns an error.
    pub(super) fn write<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> R {
        if let Some(copy) = self.open.last_mut() {
            return change(copy);
        }
        self.cell.start_writing();
        let result = change(&mut lock(&self.cell.committed));
        self.cell.stop_writing();
        result
    }

    pub(super) fn begin(&mut self) {
        if self.open.is_empty() {
            self.cell.start_writing();
        }
        let copy = self.read(T::clone);
        self.open.push(copy);
    }

    pub(super) fn commit(&mut self) {
        let Some(changed) = self.open.pop() else {
            return;
        };
        match self.open.last_mut() {
            Some(outer) => *outer = changed,
            None => {
                *lock(&self.cell.committed) = changed;
                self.cell.stop_writing();
            }
        }
    }

    pub(super) fn roll_back(&mut self) {
        if self.open.pop().is_some() && self.open.is_empty() {
            self.cell.stop_writing();
        }
    }
}

impl<T> Cell<T> {
    fn start_writing(&self) {
        let mut writing = lock(&self.writing);
        while *writing {
            writing = self
                .writer_left
                .wait(writing)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *writing = true;
    }

    fn stop_writing(&self) {
        *lock(&self.writing) = false;
        self.writer_left.notify_one();
    }
}

/// The values behind the locks are whole at all times, also when a holder panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Default> Default for Shared<T> {
    fn default() -> Self {
        Self {
            cell: Arc::default(),
            open: Vec::new(),
        }
    }
}

/// A clone is another handle to the same value, outside of this one's transactions.
impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self {
            cell: Arc::clone(&self.cell),
            open: Vec::new(),
        }
    }
}

/// A handle that goes away in a transaction rolls back.
impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        if !self.open.is_empty() {
            self.cell.stop_writing();
        }
    }
}
