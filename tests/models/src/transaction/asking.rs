//! The questions after a handler has returned: whether the transaction is still the one that was
//! begun, and, if not, whether it was committed.

use super::Page;
use super::library::Next;
use super::state::{Phase, Returned, Run, State};

impl Page {
    pub(super) fn next_message(&self, state: &mut State, process: usize, message: u8) {
        let it = &mut state.processes[process];
        it.phase = if message < it.search.end {
            Phase::Handles(Run::of(message + 1))
        } else if self.mechanisms.cursor_last {
            Phase::MovesCursor
        } else {
            Phase::Commits
        };
    }

    /// `state_of`: asks whether the transaction is still the one that was begun.
    pub(super) fn asks(&self, state: &State, process: usize) -> Option<State> {
        let Phase::Asks(run, returned) = state.processes[process].phase else {
            return None;
        };
        let mut next = *state;
        let transaction = state.processes[process].transaction;
        let is_intact = transaction.is_some_and(|it| it.is_intact());
        let is_aborted = transaction
            .is_some_and(|it| it.is_aborted && (it.is_own || !self.mechanisms.tells_whose_abort));
        if is_intact && returned == Returned::Ok {
            self.next_message(&mut next, process, run.message);
            return Some(next);
        }
        next.roll_back(process);
        if is_intact || is_aborted {
            self.failed(&mut next, process, run.message, Next::Attempt);
        } else {
            next.processes[process].phase = Phase::LooksForMark(run, returned);
        }
        Some(next)
    }

    /// `was_committed`: the row shows whether the transaction was committed or rolled back.
    pub(super) fn looks_for_mark(&self, state: &State, process: usize) -> Option<State> {
        let Phase::LooksForMark(run, returned) = state.processes[process].phase else {
            return None;
        };
        let mut next = *state;
        if !state.holds_lease(process) {
            self.loses_lease(&mut next, process);
            return Some(next);
        }
        let was_committed = state.row.begun;
        let is_final = self.mechanisms.final_is_given_up;
        let it = &mut next.processes[process];
        match (run.message, was_committed) {
            (0, true) if returned == Returned::Ok && self.mechanisms.hook_counts => {
                it.phase = Phase::CountsHook;
            }
            (0, _) => {
                next.history.hook_was_repeated |= was_committed && returned == Returned::Ok;
                self.releases(&mut next, process);
            }
            (message, committed @ true) if is_final && self.mechanisms.noted_with_cursor => {
                it.phase = Phase::NotesFinal { message, committed };
            }
            (message, true) => it.phase = Phase::StoresCursor(message),
            (message, committed @ false) => {
                let gives_up = run.ran_after && is_final;
                if gives_up && self.mechanisms.noted_first {
                    it.phase = Phase::NotesFinal { message, committed };
                } else {
                    let then = if gives_up {
                        Next::GiveUp
                    } else {
                        Next::Attempt
                    };
                    self.failed(&mut next, process, message, then);
                }
            }
        }
        Some(next)
    }
}
