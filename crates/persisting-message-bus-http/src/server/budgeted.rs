use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

/// A value that is kept for a client until the client asks for more. At the deadline, the value is
/// dropped, even if the client's connection stands still and asks for nothing.
#[derive(Debug)]
pub(super) struct Budgeted<T> {
    kept: Arc<Mutex<Option<T>>>,
    deadline: AbortHandle,
}

impl<T: Send + 'static> Budgeted<T> {
    pub(super) fn until(deadline: Instant, kept: T) -> Self {
        let kept = Arc::new(Mutex::new(Some(kept)));
        let late = Arc::clone(&kept);
        let waiting = tokio::spawn(async move {
            sleep_until(deadline).await;
            drop(take(&late));
        });
        Self {
            kept,
            deadline: waiting.abort_handle(),
        }
    }

    /// Returns the value, unless the deadline has passed.
    pub(super) fn into_kept(self) -> io::Result<T> {
        take(&self.kept).ok_or_else(late)
    }
}

impl<T> Drop for Budgeted<T> {
    fn drop(&mut self) {
        self.deadline.abort();
    }
}

/// Returns the error that closes a connection.
pub(super) fn late() -> io::Error {
    let late = "the client took too long to receive the answer";
    io::Error::new(io::ErrorKind::TimedOut, late)
}

fn take<T>(kept: &Mutex<Option<T>>) -> Option<T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner).take()
}
