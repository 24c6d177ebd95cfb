use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

/// What is kept for a client until it asks for more. Where it is late, that is let go: also where its
/// connection stands still, and asks for nothing.
#[derive(Debug)]
pub(super) struct Held<T> {
    kept: Arc<Mutex<Option<T>>>,
    deadline: AbortHandle,
}

impl<T: Send + 'static> Held<T> {
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

    /// It, if it is not too late.
    pub(super) fn into_kept(self) -> io::Result<T> {
        take(&self.kept).ok_or_else(late)
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        self.deadline.abort();
    }
}

/// What breaks a connection off.
pub(super) fn late() -> io::Error {
    let late = "the client took longer than it may";
    io::Error::new(io::ErrorKind::TimedOut, late)
}

fn take<T>(kept: &Mutex<Option<T>>) -> Option<T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner).take()
}
