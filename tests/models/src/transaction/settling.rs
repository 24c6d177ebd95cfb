//! The writes under the lease after a message has failed, or after the hook's transaction has ended
//! early. Each is a transaction.

use super::library::Next;
use super::state::{Note, Phase, State};
use super::{GiveUp, Page};

impl Page {
    /// Writes under the lease, if the process still holds it.
    fn under_lease(
        &self,
        state: &State,
        process: usize,
        settle: impl FnOnce(&mut State),
    ) -> Option<State> {
        if !self.may_settle(state, process) {
            return None;
        }
        let mut next = *state;
        if state.holds_lease(process) {
            settle(&mut next);
        } else {
            self.loses_lease(&mut next, process);
        }
        Some(next)
    }

    /// Only in controls: stores the cursor before a message whose effects are final, without the
    /// note.
    pub(super) fn stores_cursor(&self, state: &State, process: usize) -> Option<State> {
        let Phase::StoresCursor(message) = state.processes[process].phase else {
            return None;
        };
        self.under_lease(state, process, |next| {
            next.row.cursor = Some(message - 1);
            next.row.begun = false;
            next.processes[process].phase = if self.mechanisms.final_is_given_up {
                Phase::GivesUp(message)
            } else {
                Phase::RecordsFailure(message)
            };
        })
    }

    /// Notes that effects of a message are final, and stores the cursor before it if the messages
    /// before it were committed. Otherwise they are handled again.
    pub(super) fn notes_final(&self, state: &State, process: usize) -> Option<State> {
        let Phase::NotesFinal { message, committed } = state.processes[process].phase else {
            return None;
        };
        self.under_lease(state, process, |next| {
            next.notes[usize::from(message)] = Note::Final;
            if committed {
                next.row.cursor = Some(message - 1);
                next.row.begun = false;
                next.processes[process].search.handled = message - 1;
            }
            self.failed(next, process, message, Next::GiveUp);
        })
    }

    /// `record_failure`.
    pub(super) fn records_failure(&self, state: &State, process: usize) -> Option<State> {
        let Phase::RecordsFailure(message) = state.processes[process].phase else {
            return None;
        };
        self.under_lease(state, process, |next| {
            let note = &mut next.notes[usize::from(message)];
            let attempts = match *note {
                Note::Failing(attempts) => attempts + 1,
                _ => 1,
            };
            *note = Note::Failing(attempts);
            if attempts < self.attempts {
                self.releases(next, process);
            } else {
                next.processes[process].phase = Phase::GivesUp(message);
            }
        })
    }

    /// `give_up`: writes the cursor and the note, and releases the lease.
    pub(super) fn gives_up(&self, state: &State, process: usize) -> Option<State> {
        let Phase::GivesUp(message) = state.processes[process].phase else {
            return None;
        };
        self.under_lease(state, process, |next| {
            next.notes[usize::from(message)] = Note::GivenUp;
            let cursor = match self.give_up {
                GiveUp::Stop => message - 1,
                GiveUp::Park => message,
            };
            next.row.has_stopped = self.give_up == GiveUp::Stop;
            next.row.cursor = Some(cursor);
            self.releases(next, process);
        })
    }

    /// Stores that the hook was called: it has returned `Ok`, and its effects are final.
    pub(super) fn counts_hook(&self, state: &State, process: usize) -> Option<State> {
        if state.processes[process].phase != Phase::CountsHook {
            return None;
        }
        self.under_lease(state, process, |next| {
            next.row.cursor = Some(0);
            self.releases(next, process);
        })
    }
}
