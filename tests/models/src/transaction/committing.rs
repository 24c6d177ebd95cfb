//! The cursor, and COMMIT.

use super::library::Next;
use super::state::{Phase, Process, Returned, Run, Search, State};
use super::{Page, Server};

impl Page {
    /// Moves the cursor, under the lease, in the transaction that was begun.
    pub(super) fn moves_cursor(&self, state: &State, process: usize) -> Option<State> {
        let it = state.processes[process];
        if it.phase != Phase::MovesCursor || !self.may_settle(state, process) {
            return None;
        }
        let mut next = *state;
        let is_intact = it.transaction.is_some_and(|it| it.is_intact());
        if !is_intact && self.mechanisms.cursor_in_transaction {
            // The library does not know which message ended it.
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
        let cursor = it.search.end;
        match &mut next.processes[process].transaction {
            Some(transaction) => {
                transaction.has_row = true;
                transaction.begun = false;
                transaction.cursor = Some(cursor);
            }
            None => {
                next.row.begun = false;
                next.row.cursor = Some(cursor);
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
            // Another page, under the same lease. The library does not read the cursor again.
            self.reads_page(state, process, Some(search.all));
        } else {
            self.releases(state, process);
        }
    }

    /// COMMIT fails with a permanent error, so the library searches for the guilty message.
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

    /// The connection is lost at COMMIT. The library does not know whether the COMMIT arrived.
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
}
