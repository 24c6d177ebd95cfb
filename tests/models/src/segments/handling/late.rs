//! Statements that arrive late, on a lost connection.

use super::state::{Late, State};
use super::{Handling, LEASE};

impl Handling {
    /// The statement on a lost connection arrives.
    pub(super) fn late_arrives(&self, state: &State, process: usize) -> Option<State> {
        let late = state.processes[process].late?;
        let mut before = *state;
        before.processes[process].late = None;
        match late {
            Late::Take { owner, segment } => self.late_take_arrives(&before, segment, owner),
            Late::Store(store) => self.store_arrives(&before, store),
            Late::Commit { segment, message } => {
                Some(self.is_committed(&before, segment, message, LEASE))
            }
        }
    }

    /// The statement on a lost connection never arrives. Its transaction is rolled back.
    pub(super) fn late_is_gone(&self, state: &State, process: usize) -> Option<State> {
        let mut next = *state;
        let late = next.processes[process].late.take();
        late.is_some().then_some(next)
    }
}
