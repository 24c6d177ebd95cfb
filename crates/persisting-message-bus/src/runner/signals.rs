use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What threads wait for: the end, or that somebody has dispatched something.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// Looked at for each message.
    stopping: AtomicBool,
    nudges: Mutex<u64>,
    changed: Condvar,
}

impl Signals {
    /// From now on, everybody comes to an end.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        // Whoever has looked, and does not wait yet, holds the lock.
        drop(self.lock());
        self.changed.notify_all();
    }

    /// There may be something new.
    pub(crate) fn nudge(&self) {
        *self.lock() += 1;
        self.changed.notify_all();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// How often there was something new so far. Whoever asks before he looks for it misses nothing.
    pub(crate) fn nudges(&self) -> u64 {
        *self.lock()
    }

    /// Waits, but no longer than until the end, or until there were more nudges than `seen`.
    pub(crate) fn wait(&self, duration: Duration, seen: Option<u64>) {
        let asleep =
            |nudges: &mut u64| !self.is_stopping() && seen.is_none_or(|seen| *nudges == seen);
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), duration, asleep);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// A thread that panics leaves a number, which cannot be broken.
    fn lock(&self) -> MutexGuard<'_, u64> {
        self.nudges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a runner from anywhere: another thread, a handler of signals.
///
/// Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(pub(super) Arc<Signals>);

impl Shutdown {
    /// Asks the consumers to end: each finishes the message at hand, stores its cursor, and gives its
    /// lease back. Does not wait for them.
    pub fn request(&self) {
        self.0.stop();
    }

    /// Whether that was asked.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.is_stopping()
    }
}

/// Tells a runner in the same process that something was dispatched, so that it looks at once.
///
/// Nudge behind the commit: before it, there is nothing to be seen. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Nudge(pub(super) Arc<Signals>);

impl Nudge {
    /// There may be something new.
    pub fn nudge(&self) {
        self.0.nudge();
    }
}

/// Polls until a condition holds or the time is over, and says whether it holds.
pub(super) fn holds_until(deadline: Option<Instant>, condition: impl Fn() -> bool) -> bool {
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
    fn a_nudge_or_the_end_wakes_who_waits() {
        for wake in [Signals::nudge, Signals::stop] {
            let signals = Signals::default();
            let seen = signals.nudges();
            thread::scope(|scope| {
                scope.spawn(|| signals.wait(HOUR, Some(seen)));
                wake(&signals);
            });
        }
    }

    #[test]
    fn a_nudge_between_the_look_and_the_wait_is_not_missed() {
        let signals = Signals::default();
        let seen = signals.nudges();
        signals.nudge();
        signals.wait(HOUR, Some(seen));
    }

    #[test]
    fn who_waits_after_a_failure_is_not_nudged() {
        let signals = Signals::default();
        signals.nudge();
        let begun = Instant::now();
        signals.wait(Duration::from_millis(20), None);
        assert!(begun.elapsed() >= Duration::from_millis(20));
    }
}
