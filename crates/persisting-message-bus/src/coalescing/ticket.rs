use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::queue::{Group, wait_while};
use crate::Error;

/// What a caller waits with.
#[derive(Debug, Default)]
pub(super) struct Ticket {
    turn: Mutex<Option<Turn>>,
    given: Condvar,
}

/// What it waits for.
#[derive(Debug)]
pub(super) enum Turn {
    /// It commits what it has brought, and what others have meanwhile.
    Lead(Group),
    /// Somebody else has committed it, or has failed to.
    Done(Result<usize, Error>),
}

impl Ticket {
    pub(super) fn give(&self, turn: Turn) {
        *self.lock() = Some(turn);
        self.given.notify_one();
    }

    /// Whether nothing was given yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.lock().is_none()
    }

    /// Returns `None` when the time is over.
    pub(super) fn wait_until(&self, deadline: Option<Instant>) -> Option<Turn> {
        wait_while(&self.given, self.lock(), deadline, |turn| turn.is_none()).take()
    }

    pub(super) fn wait(&self) -> Turn {
        loop {
            if let Some(turn) = self.wait_until(None) {
                return turn;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Turn>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
