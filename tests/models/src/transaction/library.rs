//! The actions of the library around handlers, from the lease to the cursor.

use super::state::{Failing, Note, Phase, Process, Run, Search, State, Transaction, bit};
use super::{MESSAGES, Page};

/// The consequence for a message that has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The failure counts as an attempt.
    Attempt,
    /// The failure policy is applied.
    GiveUp,
}

impl Page {
    /// Takes the lease, reads the page, and hands it out. Announces that effects of the page can be
    /// repeated if an earlier holder has left its mark.
    pub(super) fn takes(&self, state: &State, process: usize) -> Option<State> {
        let row = state.row;
        let is_free = row.holder.is_none_or(|holder| holder == process) || row.has_expired;
        let has_work = !row.has_stopped && row.cursor != Some(self.messages);
        if state.processes[process].phase != Phase::Idle
            || !is_free
            || !has_work
            || !self.may_settle(state, process)
        {
            return None;
        }
        let mut next = *state;
        for other in (0..self.processes).filter(|other| *other != process) {
            self.forgets(&mut next, other);
        }
        next.row.holder = Some(process);
        next.row.epoch += 1;
        next.row.has_expired = false;
        next.processes[process].epoch = next.row.epoch;
        self.reads_page(&mut next, process, row.cursor);
        if row.begun && self.mechanisms.mark_is_announced {
            let Search { handled, all, .. } = next.processes[process].search;
            for message in (handled + 1)..=all {
                next.history.announced |= bit(message);
            }
        }
        next.row.begun &= !self.mechanisms.earlier_mark_goes;
        Some(next)
    }

    /// Returns `true` if a process can write the consumer's row now.
    pub(super) fn may_settle(&self, state: &State, process: usize) -> bool {
        self.may_write(state, process) && !state.row_is_locked_for(process)
    }

    pub(super) fn reads_page(&self, state: &mut State, process: usize, cursor: Option<u8>) {
        let it = &mut state.processes[process];
        let handled = cursor.unwrap_or(0);
        let all = cursor.map_or(0, |cursor| self.messages.min(cursor + self.page_size));
        it.search = Search {
            handled,
            end: all,
            limit: all,
            all,
            failing: None,
        };
        it.phase = Phase::Begins;
        let mut page = (handled + 1)..=all;
        let is_final = |message: &u8| state.notes[usize::from(*message)] == Note::Final;
        if let Some(message) = page.find(is_final) {
            self.failed(state, process, message, Next::GiveUp);
        }
    }

    /// BEGIN, and the touch.
    pub(super) fn begins(&self, state: &State, process: usize) -> Option<State> {
        let it = state.processes[process];
        let writes_row = self.mechanisms.touch || !self.mechanisms.cursor_last;
        let may_begin =
            self.may_write(state, process) && !(writes_row && state.row_is_locked_for(process));
        if it.phase != Phase::Begins || !may_begin {
            return None;
        }
        let mut next = *state;
        if writes_row && !state.holds_lease(process) {
            next.processes[process].phase = Phase::Idle;
            return Some(next);
        }
        let mut transaction = Transaction::new(true);
        if writes_row {
            transaction.has_row = true;
            transaction.begun = self.mechanisms.mark;
            transaction.cursor = state.row.cursor;
        }
        if !self.mechanisms.cursor_last {
            transaction.cursor = Some(it.search.end);
            transaction.begun = false;
        }
        next.processes[process].transaction = Some(transaction);
        let message = if it.search.all == 0 {
            0
        } else {
            it.search.handled + 1
        };
        next.processes[process].phase = Phase::Handles(Run::of(message));
        Some(next)
    }

    /// Records that a message has failed. The messages before it are handled again first.
    pub(super) fn failed(&self, state: &mut State, process: usize, message: u8, then: Next) {
        if message == 0 {
            // There is no message to blame. The hook is called again.
            self.releases(state, process);
            return;
        }
        let failing = Failing {
            message,
            at_once: then == Next::GiveUp,
        };
        let it = &mut state.processes[process];
        it.search.end = message - 1;
        it.search.failing = Some(failing);
        if it.search.end > it.search.handled {
            it.phase = Phase::Begins;
        } else {
            self.settles(state, process, failing);
        }
    }

    pub(super) fn settles(&self, state: &mut State, process: usize, failing: Failing) {
        state.processes[process].phase = if failing.at_once {
            Phase::GivesUp(failing.message)
        } else {
            Phase::RecordsFailure(failing.message)
        };
    }

    /// Releases the lease, if the process still has it.
    pub(super) fn releases(&self, state: &mut State, process: usize) {
        if state.holds_lease(process) {
            state.row.holder = None;
            state.row.has_expired = false;
            state.row.begun = false;
        }
        state.processes[process] = Process::NEW;
    }

    pub(super) fn loses_lease(&self, state: &mut State, process: usize) {
        self.forgets(state, process);
        state.processes[process] = Process::NEW;
    }
}

impl Run {
    pub(super) fn of(message: u8) -> Self {
        debug_assert!(usize::from(message) <= MESSAGES);
        Self {
            message,
            written: 0,
            has_done: false,
            ran_after: false,
        }
    }
}
