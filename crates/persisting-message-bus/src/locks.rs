//! Locks that threads can use after another thread panicked while it held them.
//!
//! Every value under them is consistent at all times, so a panic cannot leave it half-changed.

use std::sync::{LockResult, Mutex, MutexGuard, PoisonError};

/// Locks a mutex, and ignores poisoning.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    unpoisoned(mutex.lock())
}

/// Returns the guard of a lock or of a wait, and ignores poisoning.
pub(crate) fn unpoisoned<G>(locked: LockResult<G>) -> G {
    locked.unwrap_or_else(PoisonError::into_inner)
}
