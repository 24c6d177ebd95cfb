//! What the library does around handlers: from the lease to the cursor.

use super::state::{Failing, Note, Phase, Process, Returned, Run, Search, State, Transaction, bit};
use super::{MESSAGES, Page, Server};

/// What becomes of a message that has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It is an attempt.
    Attempt,
    /// It is given up.
    GiveUp,
}

impl Page {
    /// The lease, and the page.
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
        if row.begun.is_some() && self.mechanisms.mark_is_announced {
            let page = next.processes[process].search;
            let messages = match row.cursor {
                None => 0..=0,
                Some(cursor) => cursor + 1..=page.all,
            };
            next.history.announced |= messages.fold(0, |bits, message| bits | bit(message));
        }
        Some(next)
    }

    /// Whether a process may write the consumer's row now.
    pub(super) fn may_settle(&self, state: &State, process: usize) -> bool {
        self.may_write(state, process) && !state.row_is_locked_for(process)
    }

    fn reads_page(&self, state: &mut State, process: usize, cursor: Option<u8>) {
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
            transaction.begun = self.mechanisms.mark.then(|| self.mark(it.epoch));
            transaction.cursor = state.row.cursor;
        }
        if !self.mechanisms.cursor_last {
            transaction.cursor = Some(it.search.end);
            transaction.begun = None;
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

    /// What the touch writes.
    pub(super) fn mark(&self, epoch: u8) -> u8 {
        if self.mechanisms.mark_names_epoch {
            epoch
        } else {
            0
        }
    }

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

    /// `is_intact`.
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

    /// The row tells whether the transaction was committed or rolled back.
    pub(super) fn looks_for_mark(&self, state: &State, process: usize) -> Option<State> {
        let Phase::LooksForMark(run, returned) = state.processes[process].phase else {
            return None;
        };
        let mut next = *state;
        if !state.holds_lease(process) {
            self.loses_lease(&mut next, process);
            return Some(next);
        }
        let epoch = state.processes[process].epoch;
        let was_committed = state.row.begun == Some(self.mark(epoch));
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
            (message, true) if is_final && self.mechanisms.given_up_together => {
                it.phase = Phase::GivesUp(message);
            }
            (message, true) => it.phase = Phase::StoresCursor(message),
            (message, false) => {
                let at_once = run.ran_after && is_final;
                if at_once && self.mechanisms.noted_first {
                    it.phase = Phase::NotesFinal(Failing { message, at_once });
                } else {
                    let then = if at_once { Next::GiveUp } else { Next::Attempt };
                    self.failed(&mut next, process, message, then);
                }
            }
        }
        Some(next)
    }

    /// The cursor, under the lease, in the transaction that was begun.
    pub(super) fn moves_cursor(&self, state: &State, process: usize) -> Option<State> {
        let it = state.processes[process];
        if it.phase != Phase::MovesCursor || !self.may_settle(state, process) {
            return None;
        }
        let mut next = *state;
        let is_intact = it.transaction.is_some_and(|it| it.is_intact());
        if !is_intact && self.mechanisms.cursor_in_transaction {
            // By what message, it does not know.
            let run = Run {
                ran_after: true,
                ..Run::of(it.search.end)
            };
            next.processes[process].phase = Phase::Asks(run, Returned::Ok);
            return Some(next);
        }
        let is_aborted = it.transaction.is_some_and(|it| it.is_aborted);
        if is_aborted || !state.holds_lease(process) {
            next.roll_back(process);
            self.releases(&mut next, process);
            return Some(next);
        }
        let cursor = Some(it.search.end);
        match &mut next.processes[process].transaction {
            Some(transaction) => {
                transaction.has_row = true;
                transaction.begun = None;
                transaction.cursor = cursor;
            }
            None => {
                next.row.begun = None;
                next.row.cursor = cursor;
            }
        }
        next.processes[process].phase = Phase::Commits;
        Some(next)
    }

    pub(super) fn commits(&self, state: &State, process: usize) -> Option<State> {
        let it = state.processes[process];
        if it.phase != Phase::Commits || self.commit_is_refused(state, process) {
            return None;
        }
        let mut next = *state;
        if it.transaction.is_none() && self.server == Server::Sqlite {
            self.releases(&mut next, process);
            return Some(next);
        }
        next.commit(process);
        let search = &mut next.processes[process].search;
        search.handled = search.end;
        if search.handled == search.limit {
            search.limit = search.all;
        }
        search.end = search.limit;
        self.goes_on_after_commit(&mut next, process);
        Some(next)
    }

    fn goes_on_after_commit(&self, state: &mut State, process: usize) {
        let search = state.processes[process].search;
        if let Some(failing) = search.failing
            && failing.message == search.handled + 1
        {
            self.settles(state, process, failing);
        } else if search.handled < search.all {
            state.processes[process].phase = Phase::Begins;
        } else if search.all < self.messages {
            // Another page, under the same lease: from where the library believes that it is.
            self.reads_page(state, process, Some(search.all));
        } else {
            self.releases(state, process);
        }
    }

    /// What a lasting error of COMMIT leads to: a search for the message.
    pub(super) fn commit_fails(&self, state: &State, process: usize) -> Option<State> {
        let it = state.processes[process];
        if it.phase != Phase::Commits || !self.commit_is_refused(state, process) {
            return None;
        }
        let mut next = *state;
        next.roll_back(process);
        let Search { handled, end, .. } = it.search;
        if !self.mechanisms.searches {
            next.processes[process].phase = Phase::RecordsFailure(end);
        } else if end == handled + 1 {
            next.history.misbehaved[usize::from(end)] += 1;
            self.failed(&mut next, process, end, Next::Attempt);
        } else {
            next.processes[process].search.limit = end;
            next.processes[process].search.end = handled + (end - handled) / 2;
            next.processes[process].phase = Phase::Begins;
        }
        Some(next)
    }

    /// Nobody knows whether the COMMIT arrived.
    pub(super) fn loses_connection(
        &self,
        state: &State,
        process: usize,
        arrived: bool,
    ) -> Option<State> {
        if state.processes[process].phase != Phase::Commits {
            return None;
        }
        let mut next = *state;
        next.left.losses = next.left.losses.checked_sub(1)?;
        if arrived && !self.commit_is_refused(state, process) {
            next.commit(process);
        } else {
            next.roll_back(process);
        }
        next.processes[process] = Process::NEW;
        Some(next)
    }

    /// A message has failed: what is before it is made again first.
    pub(super) fn failed(&self, state: &mut State, process: usize, message: u8, then: Next) {
        if message == 0 {
            // There is nobody to blame: the hook is called again.
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

    fn settles(&self, state: &mut State, process: usize, failing: Failing) {
        state.processes[process].phase = if failing.at_once {
            Phase::GivesUp(failing.message)
        } else {
            Phase::RecordsFailure(failing.message)
        };
    }

    /// Gives the lease back, if it still has it.
    pub(super) fn releases(&self, state: &mut State, process: usize) {
        if state.holds_lease(process) {
            state.row.holder = None;
            state.row.has_expired = false;
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
