//! Who may be at work in this process at the same time.
//!
//! When a process ends without a word, the next one cannot tell which handler ended it. What was handed out then is
//! suspect, and tried again one message at a time, while no other consumer of the process is at work: so
//! that only the guilty one is found there when the process ends again.

use std::cell::Cell;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::runner::Signals;

/// How long a consumer waits for the others: 30 seconds. It then works beside a handler that takes longer, and
/// no message is blamed if the process ends meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a waiting consumer checks whether it has to stop.
const LOOK: Duration = Duration::from_millis(100);

static GATE: Gate = Gate {
    inside: Mutex::new(Inside {
        together: 0,
        alone: false,
        waiting: 0,
    }),
    changed: Condvar::new(),
};

thread_local! {
    /// A handler may let another consumer work, on its own thread.
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

struct Gate {
    inside: Mutex<Inside>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inside {
    /// How many work that are not suspect.
    together: usize,
    /// Whether one works that is.
    alone: bool,
    /// How many suspects wait. No other consumer begins meanwhile, so that their turn comes.
    waiting: usize,
}

/// The right to work, until this is dropped.
#[derive(Debug)]
pub(super) struct Pass {
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Together,
    Alone,
    /// Others did not end in time, or this thread is at work already.
    Uncounted,
}

/// Waits until it is possible to work: alone, or with others.
pub(super) fn enter(alone: bool, signals: &Signals) -> Pass {
    if IS_INSIDE.get() {
        return Pass {
            kind: Kind::Uncounted,
        };
    }
    let kind = if alone {
        GATE.enter_alone(signals)
    } else {
        GATE.enter_together(signals)
    };
    IS_INSIDE.set(kind != Kind::Uncounted);
    Pass { kind }
}

impl Pass {
    /// Whether no other consumer of the process is at work.
    pub(super) fn is_alone(&self) -> bool {
        self.kind == Kind::Alone
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.kind == Kind::Uncounted {
            return;
        }
        IS_INSIDE.set(false);
        let mut inside = GATE.lock();
        match self.kind {
            Kind::Alone => inside.alone = false,
            _ => inside.together -= 1,
        }
        drop(inside);
        GATE.changed.notify_all();
    }
}

impl Gate {
    fn enter_together(&self, signals: &Signals) -> Kind {
        let is_free = |inside: &Inside| !inside.alone && inside.waiting == 0;
        let mut inside = self.wait(self.lock(), signals, is_free);
        if !is_free(&inside) {
            return Kind::Uncounted;
        }
        inside.together += 1;
        Kind::Together
    }

    fn enter_alone(&self, signals: &Signals) -> Kind {
        let is_free = |inside: &Inside| !inside.alone && inside.together == 0;
        let mut inside = self.lock();
        inside.waiting += 1;
        let mut inside = self.wait(inside, signals, is_free);
        inside.waiting -= 1;
        if !is_free(&inside) {
            drop(inside);
            self.changed.notify_all();
            return Kind::Uncounted;
        }
        inside.alone = true;
        Kind::Alone
    }

    /// Waits until a condition holds, or until the patience is over.
    fn wait<'a>(
        &'a self,
        mut inside: MutexGuard<'a, Inside>,
        signals: &Signals,
        holds: impl Fn(&Inside) -> bool,
    ) -> MutexGuard<'a, Inside> {
        let begun = Instant::now();
        while !holds(&inside) && !signals.is_stopping() && begun.elapsed() < PATIENCE {
            let waited = self.changed.wait_timeout(inside, LOOK);
            inside = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        inside
    }

    /// A thread that panics leaves numbers, which cannot be broken.
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::thread;

    use super::*;

    /// The test of a suspect: the number of others at work while it was.
    #[test]
    fn who_is_suspect_works_alone_and_gets_his_turn() {
        let (together, alone) = (AtomicI64::new(0), AtomicI64::new(0));
        let signals = Signals::default();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let _pass = enter(false, &signals);
                        together.fetch_add(1, Ordering::SeqCst);
                        assert_eq!(alone.load(Ordering::SeqCst), 0);
                        thread::yield_now();
                        together.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let pass = enter(true, &signals);
                        assert!(pass.is_alone());
                        assert_eq!(alone.fetch_add(1, Ordering::SeqCst), 0);
                        assert_eq!(together.load(Ordering::SeqCst), 0);
                        thread::yield_now();
                        alone.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
    }

    #[test]
    fn a_handler_may_let_another_consumer_work() {
        let signals = Signals::default();
        let _outer = enter(false, &signals);
        assert!(!enter(true, &signals).is_alone());
        assert!(!enter(false, &signals).is_alone());
    }
}
