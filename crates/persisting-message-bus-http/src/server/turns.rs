use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use persisting_message_bus::backend::SlotObservations;

/// How long one read may take until it hangs for those that wait, because its database does not
/// answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The memory of a topic's publishers, which one read at a time uses.
///
/// The observations are kept between the reads, because on some databases a first read returns a
/// lower high-water mark.
#[derive(Debug, Default)]
pub(super) struct Turns {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The observations, while no read uses them.
    kept: Option<SlotObservations>,
    /// The last turn.
    turn: u64,
    is_taken: bool,
}

/// The right to read, and the observations.
#[derive(Debug)]
pub(super) struct Turn {
    number: u64,
    pub(super) observations: SlotObservations,
}

impl Turns {
    /// Waits for the read before, and takes the observations. If that read hangs, this one begins
    /// with none.
    pub(super) fn take(&self) -> Turn {
        let mut state = self.lock();
        while state.is_taken {
            let before = state.turn;
            let waited = self.changed.wait_timeout_while(state, PATIENCE, |state| {
                state.is_taken && state.turn == before
            });
            let (waited, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = waited;
            // Another read that has had its turn meanwhile gets as much time.
            if timeout.timed_out() {
                break;
            }
        }
        state.is_taken = true;
        state.turn += 1;
        Turn {
            number: state.turn,
            observations: state.kept.take().unwrap_or_default(),
        }
    }

    /// Ends a turn. Returns whether its result counts, which it does not if a later read did not
    /// wait for it.
    pub(super) fn end(&self, turn: Turn) -> bool {
        let mut state = self.lock();
        let counts = turn.number == state.turn;
        if counts {
            state.kept = Some(turn.observations);
            state.is_taken = false;
            self.changed.notify_all();
        }
        counts
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// Three reads take longer together than one may take.
    #[test]
    fn reads_that_are_slow_are_waited_for() {
        let turns = Turns::default();
        let slow = PATIENCE * 2 / 3;
        let counted = thread::scope(|scope| {
            let reads = [(); 4].map(|()| {
                scope.spawn(|| {
                    let turn = turns.take();
                    thread::sleep(slow);
                    turns.end(turn)
                })
            });
            reads.map(|read| read.join())
        });
        assert!(counted.iter().all(|counts| matches!(counts, Ok(true))));
    }

    #[test]
    fn a_read_that_hangs_does_not_hold_up_the_next_one() {
        let turns = Turns::default();
        let hanging = turns.take();
        let next = turns.take();
        assert!(!turns.end(hanging));
        assert!(turns.end(next));
        let third = turns.take();
        assert!(turns.end(third));
    }
}
