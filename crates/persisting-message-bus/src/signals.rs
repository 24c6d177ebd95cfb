use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::locks::{lock, unpoisoned};

/// The events that threads wait for: a stop, and new messages.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// Read for each message.
    stopping: AtomicBool,
    wakes: Mutex<u64>,
    changed: Condvar,
}

impl Signals {
    /// Stops all threads that check or wait for this.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        // A thread that has checked the flag, but does not wait yet, holds the lock. Taking the
        // lock makes sure that the thread receives the notification.
        drop(self.lock());
        self.changed.notify_all();
    }

    /// Wakes the waiting threads, because there may be new messages.
    pub(crate) fn wake(&self) {
        *self.lock() += 1;
        self.changed.notify_all();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Returns the number of wakes so far. A caller that reads it before polling misses no wake.
    pub(crate) fn wakes(&self) -> u64 {
        *self.lock()
    }

    /// Waits for `duration`. Returns early on a stop, or if the number of wakes is no longer
    /// `seen`. `None` ignores wakes.
    pub(crate) fn wait(&self, duration: Duration, seen: Option<u64>) {
        let asleep =
            |wakes: &mut u64| !self.is_stopping() && seen.is_none_or(|seen| *wakes == seen);
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), duration, asleep);
        drop(unpoisoned(waited));
    }

    /// As [`wait`](Self::wait), but also returns early if `is_over` holds. Who changes that must call
    /// [`recheck`](Self::recheck) afterwards.
    pub(crate) fn wait_unless(
        &self,
        duration: Duration,
        seen: Option<u64>,
        is_over: impl Fn() -> bool,
    ) {
        let asleep = |wakes: &mut u64| {
            !self.is_stopping() && seen.is_none_or(|seen| *wakes == seen) && !is_over()
        };
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), duration, asleep);
        drop(unpoisoned(waited));
    }

    /// Makes the waiting threads check whether their wait is over.
    pub(crate) fn recheck(&self) {
        drop(self.lock());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        lock(&self.wakes)
    }
}

/// Stops a runner from anywhere: another thread, or a signal handler.
///
/// Clones stop the same runner.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(pub(crate) Arc<Signals>);

impl Shutdown {
    /// Asks the consumers to stop. Each finishes its current message, stores its cursor and
    /// releases its lease. Returns at once.
    pub fn request(&self) {
        self.0.stop();
    }

    /// Returns `true` if a stop was requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.is_stopping()
    }
}

/// Tells a runner in the same process that messages were dispatched, so that it polls at once.
///
/// Wake it after the commit, because the messages are not visible before. Clones wake the same
/// runner.
#[derive(Debug, Clone, Default)]
pub struct Waker(pub(crate) Arc<Signals>);

impl Waker {
    /// Wakes the runner, because there may be new messages.
    pub fn wake(&self) {
        self.0.wake();
    }
}

/// Polls until a condition holds or the deadline passes; returns `true` if the condition holds.
pub(crate) fn holds_until(deadline: Option<Instant>, condition: impl Fn() -> bool) -> bool {
    const PAUSE: Duration = Duration::from_millis(5);
    while !condition() {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
    true
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn a_wake_or_a_stop_ends_a_wait() {
        for wake in [Signals::wake, Signals::stop] {
            let signals = Signals::default();
            let seen = signals.wakes();
            thread::scope(|scope| {
                scope.spawn(|| signals.wait(HOUR, Some(seen)));
                wake(&signals);
            });
        }
    }

    #[test]
    fn a_wake_between_the_poll_and_the_wait_is_not_missed() {
        let signals = Signals::default();
        let seen = signals.wakes();
        signals.wake();
        signals.wait(HOUR, Some(seen));
    }

    #[test]
    fn a_wait_after_a_failure_ignores_wakes() {
        let signals = Signals::default();
        signals.wake();
        let begun = Instant::now();
        signals.wait(Duration::from_millis(20), None);
        assert!(begun.elapsed() >= Duration::from_millis(20));
    }
}
