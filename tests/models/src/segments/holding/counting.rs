//! What the laws count while the watched segment waits.

use super::state::bit;
use super::{Holding, PROCESSES, State, Step};

impl Holding {
    /// Counts the takes of other segments while the watched segment waits.
    pub(super) fn counts_passes(&self, state: &mut State, taken: usize) {
        match self.passes {
            Some(most) if self.waits(state) && taken != self.watched => {
                state.passes = (state.passes + 1).min(most + 1);
            }
            _ => state.passes = 0,
        }
    }

    /// Counts the polls of each process while the watched segment waits. A poll ends when all that it
    /// has chosen is taken, or found taken.
    pub(super) fn counts_polls(&self, before: &State, mut next: State, step: Step) -> State {
        let Some(most) = self.polls else { return next };
        if !self.waits(before) || !self.waits(&next) {
            (next.polls, next.polling) = ([0; PROCESSES], 0);
            return next;
        }
        match step {
            Step::Polls(process) => next.polling |= bit(process),
            Step::Takes(process, _) | Step::TakesWithoutAnswer(process, _) => {
                let is_over = next.processes[process].chosen == 0;
                if is_over && next.polling & bit(process) != 0 {
                    next.polling &= !bit(process);
                    next.polls[process] = (next.polls[process] + 1).min(most + 1);
                }
            }
            Step::IsSuspended(process) | Step::IsKilled(process) => {
                next.polling &= !bit(process);
                next.polls[process] = 0;
            }
            _ => {}
        }
        next
    }

    /// Returns the number of polls that each process has ended which is not suspended; `None` if all
    /// are suspended.
    pub(super) fn polls_of_all(&self, state: &State) -> Option<u8> {
        let processes = (0..PROCESSES).filter(|it| self.threads[*it] > 0);
        let alive = processes.filter(|it| !state.processes[*it].is_suspended);
        alive.map(|it| state.polls[it]).min()
    }

    fn waits(&self, state: &State) -> bool {
        let row = &state.rows[self.watched];
        row.is_free() && row.has_work
    }
}
