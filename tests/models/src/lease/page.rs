//! A page, from the poll to the cursor.

use super::database::Outcome;
use super::state::{Database, Lease, Phase, State, Statement, Transaction, Work, bit};
use super::{Cursor, Handler, Leases};

impl Leases {
    /// Polls without the lease: `stored`, `check_holders`, `is_caught_up`.
    pub(super) fn looks(&self, state: &State, process: usize) -> Option<State> {
        let row = self.seen(state);
        let it = &state.processes[process];
        let owner = state.owner(process);
        let is_free = row.owner.is_none_or(|holder| holder == owner) || row.has_expired;
        if it.phase != Phase::Idle || !is_free {
            return None;
        }
        let redriven = self.mechanisms.poll_reads_redriven && row.redriven().is_some();
        if !redriven && row.cursor == self.messages {
            return None;
        }
        let mut next = *state;
        next.processes[process].phase = Phase::Takes { redriven };
        Some(next)
    }

    /// Returns the rows that a poll sees.
    fn seen(&self, state: &State) -> Database {
        let mut seen = state.database;
        if self.reads_uncommitted {
            for transaction in state.open_transactions() {
                seen.commit(transaction);
            }
        }
        seen
    }

    pub(super) fn takes(&self, state: &State, process: usize) -> Option<State> {
        let Phase::Takes { redriven } = state.processes[process].phase else {
            return None;
        };
        let mut next = *state;
        let owner = state.owner(process);
        // SKIP LOCKED passes over a locked row.
        let is_locked = state.row_is_locked_for(Some(process));
        if is_locked || self.run(&mut next.database, Statement::Take { owner }) == Outcome::Nothing
        {
            next.processes[process].rests();
            return Some(next);
        }
        let handled = next.database.cursor;
        let it = &mut next.processes[process];
        it.lease = Lease {
            owner,
            epoch: next.database.epoch,
        };
        it.work = Work {
            start: handled,
            handled,
            end: self.messages.min(handled + self.page_size),
            message: 0,
        };
        it.phase = if redriven {
            Phase::ReadsRedriven
        } else if handled == self.messages {
            Phase::Releases
        } else {
            self.first_of_attempt()
        };
        Some(next)
    }

    pub(super) fn first_of_attempt(&self) -> Phase {
        match (self.handler, self.mechanisms.cursor) {
            (Handler::External, _) => Phase::Handles,
            (Handler::Transactional, Cursor::Before) => Phase::StoresCursor,
            (Handler::Transactional, _) => Phase::Begins,
        }
    }

    pub(super) fn begins(&self, state: &State, process: usize) -> Option<State> {
        let it = &state.processes[process];
        if it.phase != Phase::Begins || state.row_is_locked_for(Some(process)) {
            return None;
        }
        let mut next = *state;
        if self.is_held(&state.database, it.lease) {
            next.processes[process].transaction = Some(Transaction::EMPTY);
            next.processes[process].phase = Phase::Handles;
        } else {
            next.processes[process].rests();
        }
        Some(next)
    }

    pub(super) fn handles(&self, state: &State, process: usize) -> Option<State> {
        let mut next = *state;
        let it = &mut next.processes[process];
        if it.phase != Phase::Handles {
            return None;
        }
        it.work.handled += 1;
        let message = it.work.handled;
        match &mut it.transaction {
            Some(transaction) => transaction.effects |= bit(message),
            None => next.called |= bit(message),
        }
        if message == it.work.end {
            it.phase = if it.transaction.is_none() || self.mechanisms.cursor == Cursor::WithEffects
            {
                Phase::StoresCursor
            } else {
                Phase::Commits
            };
        }
        Some(next)
    }

    /// Stores the cursor, in the transaction of the process if it has one.
    pub(super) fn stores_cursor(&self, state: &State, process: usize) -> Option<State> {
        let it = &state.processes[process];
        if it.phase != Phase::StoresCursor || state.row_is_locked_for(Some(process)) {
            return None;
        }
        let mut next = *state;
        let (cursor, releases) = (it.work.end, it.work.message == 0);
        if let Some(transaction) = &mut next.processes[process].transaction {
            transaction.cursor = Some(cursor);
            transaction.releases = releases;
            next.processes[process].phase = Phase::Commits;
            return Some(next);
        }
        let is_first = self.is_stored_first();
        let statement = Statement::StoreCursor {
            lease: it.lease,
            cursor,
            releases: releases && !is_first,
        };
        if self.run(&mut next.database, statement) == Outcome::Nothing {
            next.processes[process].rests();
        } else if is_first {
            next.processes[process].phase = Phase::Begins;
        } else {
            self.ends_page(&mut next, process);
        }
        Some(next)
    }

    pub(super) fn is_stored_first(&self) -> bool {
        self.handler == Handler::Transactional && self.mechanisms.cursor == Cursor::Before
    }

    pub(super) fn commits(&self, state: &State, process: usize) -> Option<State> {
        if state.processes[process].phase != Phase::Commits {
            return None;
        }
        let mut next = *state;
        next.commit(process);
        match self.mechanisms.cursor {
            Cursor::WithEffects => self.ends_page(&mut next, process),
            Cursor::After => next.processes[process].phase = Phase::StoresCursor,
            // The cursor was stored without a release of the lease.
            Cursor::Before if next.processes[process].work.message == 0 => {
                next.processes[process].phase = Phase::Releases;
            }
            Cursor::Before => self.ends_page(&mut next, process),
        }
        Some(next)
    }

    /// Ends the page. All messages are handled, or all before the failing one.
    fn ends_page(&self, state: &mut State, process: usize) {
        let it = &mut state.processes[process];
        if it.work.message > 0 {
            it.phase = Phase::RecordsFailure;
        } else {
            it.rests();
        }
    }

    pub(super) fn releases(&self, state: &State, process: usize) -> Option<State> {
        let it = &state.processes[process];
        if it.phase != Phase::Releases || state.row_is_locked_for(Some(process)) {
            return None;
        }
        let mut next = *state;
        let statement = Statement::Release { lease: it.lease };
        self.run(&mut next.database, statement);
        next.processes[process].rests();
        Some(next)
    }
}

impl Transaction {
    pub(super) const EMPTY: Self = Self {
        effects: 0,
        cursor: None,
        releases: false,
        taken: 0,
    };
}
