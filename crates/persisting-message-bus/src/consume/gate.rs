//! Decides which consumers of this process can be at work at the same time.
//!
//! If a process ends without releasing its leases, the next holder cannot tell which handler ended
//! it. All messages that were handed out then are suspect. The consumer tries them one at a time,
//! while no other consumer of the process is at work. If the process ends again, only the guilty
//! message is found there.

use std::cell::Cell;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::locks::{lock, unpoisoned};
use crate::signals::Signals;

/// How long a consumer waits for the other consumers: 30 seconds. It then works beside a handler
/// that takes longer, and no message is blamed if the process ends meanwhile. It does not wait again
/// for a handler that has taken so long already, which may never end.
const PATIENCE: Duration = Duration::from_secs(30);

/// The interval at which a waiting consumer checks whether it must stop.
const LOOK: Duration = Duration::from_millis(100);

static GATE: Gate = Gate {
    inside: Mutex::new(Inside {
        together: Vec::new(),
        passes: 0,
        alone: false,
        waiting: 0,
    }),
    changed: Condvar::new(),
};

thread_local! {
    /// Set while the thread is at work, because a handler can run another consumer on its own
    /// thread.
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

struct Gate {
    inside: Mutex<Inside>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inside {
    /// The consumers at work that are not suspect: their passes, and since when.
    together: Vec<(u64, Instant)>,
    /// The number of passes so far.
    passes: u64,
    /// Whether a suspect consumer is at work.
    alone: bool,
    /// The number of waiting suspects. No other consumer begins meanwhile, so that their turn
    /// comes.
    waiting: usize,
}

/// The right to work, until it is dropped.
#[derive(Debug)]
pub(super) struct Pass {
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Together(u64),
    Alone,
    /// Other consumers did not end in time, or this thread is already at work.
    Uncounted,
}

/// Waits until the consumer can work: alone, or together with other consumers.
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
    /// Returns whether no other consumer of the process is at work.
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
            Kind::Together(pass) => inside.together.retain(|(other, _)| *other != pass),
            _ => inside.alone = false,
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
        inside.passes += 1;
        let pass = inside.passes;
        inside.together.push((pass, Instant::now()));
        Kind::Together(pass)
    }

    fn enter_alone(&self, signals: &Signals) -> Kind {
        let is_young = |(_, since): &(u64, Instant)| since.elapsed() < PATIENCE;
        let mut inside = self.lock();
        inside.waiting += 1;
        let mut inside = self.wait(inside, signals, |inside| {
            !inside.alone && !inside.together.iter().any(is_young)
        });
        inside.waiting -= 1;
        if inside.alone || !inside.together.is_empty() {
            drop(inside);
            // Consumers that waited for this suspect can begin.
            self.changed.notify_all();
            return Kind::Uncounted;
        }
        inside.alone = true;
        Kind::Alone
    }

    /// Waits until a condition holds, the consumer must stop, or `PATIENCE` is over.
    fn wait<'a>(
        &'a self,
        mut inside: MutexGuard<'a, Inside>,
        signals: &Signals,
        holds: impl Fn(&Inside) -> bool,
    ) -> MutexGuard<'a, Inside> {
        let begun = Instant::now();
        while !holds(&inside) && !signals.is_stopping() && begun.elapsed() < PATIENCE {
            inside = unpoisoned(self.changed.wait_timeout(inside, LOOK)).0;
        }
        inside
    }

    /// Locks the counts. They stay valid after a panic, because they are only numbers.
    fn lock(&self) -> MutexGuard<'_, Inside> {
        lock(&self.inside)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::thread;

    use super::*;

    /// Each suspect checks that no other consumer is at work beside it.
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
