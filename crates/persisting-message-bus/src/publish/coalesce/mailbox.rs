use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Instant;

use crate::locks::{lock, unpoisoned};

/// A place for one value, for which one caller waits.
#[derive(Debug)]
pub(super) struct Mailbox<T> {
    value: Mutex<Option<T>>,
    given: Condvar,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self {
            value: Mutex::new(None),
            given: Condvar::new(),
        }
    }
}

impl<T> Mailbox<T> {
    pub(super) fn give(&self, value: T) {
        *self.lock() = Some(value);
        self.given.notify_one();
    }

    /// Returns `true` until a value is given.
    pub(super) fn is_waiting(&self) -> bool {
        self.lock().is_none()
    }

    /// Waits for the value; returns `None` when the deadline has passed.
    pub(super) fn wait_until(&self, deadline: Option<Instant>) -> Option<T> {
        wait_while(&self.given, self.lock(), deadline, |value| value.is_none()).take()
    }

    pub(super) fn wait(&self) -> T {
        loop {
            if let Some(value) = self.wait_until(None) {
                return value;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<T>> {
        lock(&self.value)
    }
}

/// Waits while the condition holds, until the deadline. Waits for ever if there is no deadline.
pub(super) fn wait_while<'a, T>(
    changed: &Condvar,
    guard: MutexGuard<'a, T>,
    deadline: Option<Instant>,
    condition: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    match deadline {
        Some(deadline) => {
            let left = deadline.saturating_duration_since(Instant::now());
            unpoisoned(changed.wait_timeout_while(guard, left, condition)).0
        }
        None => unpoisoned(changed.wait_while(guard, condition)),
    }
}
