//! The consequences for a message whose handler fails.

use super::database::Outcome;
use super::state::{Note, Phase, State, Statement};
use super::{GiveUp, Handler, Leases};

impl Leases {
    /// A transactional page is rolled back, and handled again up to the message.
    pub(super) fn handler_fails(&self, state: &State, process: usize) -> Option<State> {
        let mut next = *state;
        let it = &mut next.processes[process];
        next.left.failures = next.left.failures.checked_sub(1)?;
        let message = match it.phase {
            Phase::Handles => it.work.handled + 1,
            Phase::HandlesRedriven => it.work.message,
            _ => return None,
        };
        if message < self.may_fail_from {
            return None;
        }
        it.work.handled -= it.handled_in_transaction();
        it.transaction = None;
        if it.phase == Phase::HandlesRedriven {
            it.phase = Phase::ParksAgain;
            return Some(next);
        }
        it.work.end = message - 1;
        it.work.message = message;
        let is_first = match self.handler {
            Handler::External => it.work.start == message - 1,
            Handler::Transactional => it.work.handled == message - 1,
        };
        it.phase = match self.handler {
            _ if is_first => Phase::RecordsFailure,
            Handler::External => Phase::StoresCursor,
            Handler::Transactional => self.first_of_attempt(),
        };
        Some(next)
    }

    pub(super) fn records_failure(&self, state: &State, process: usize) -> Option<State> {
        let it = &state.processes[process];
        if it.phase != Phase::RecordsFailure || state.row_is_locked_for(Some(process)) {
            return None;
        }
        let mut next = *state;
        let message = it.work.message;
        let statement = Statement::RecordFailure {
            lease: it.lease,
            message,
            parks: false,
        };
        let outcome = self.run(&mut next.database, statement);
        match *next.database.note(message) {
            Note::Failing(attempts) if outcome == Outcome::Done && attempts >= self.attempts => {
                next.processes[process].phase = Phase::GivesUp;
            }
            // The process keeps the lease. It takes the lease again for the next attempt.
            _ => next.processes[process].rests(),
        }
        Some(next)
    }

    pub(super) fn gives_up(&self, state: &State, process: usize) -> Option<State> {
        let it = &state.processes[process];
        if it.phase != Phase::GivesUp || state.row_is_locked_for(Some(process)) {
            return None;
        }
        let mut next = *state;
        let statement = self.giving_up(it.lease, it.work.message, false);
        let outcome = self.run(&mut next.database, statement);
        if outcome == Outcome::Done && self.mechanisms.give_up != GiveUp::AtOnce {
            next.processes[process].phase = Phase::GivesUpRest;
        } else {
            next.processes[process].rests();
        }
        Some(next)
    }

    pub(super) fn gives_up_rest(&self, state: &State, process: usize) -> Option<State> {
        let it = &state.processes[process];
        if it.phase != Phase::GivesUpRest || state.row_is_locked_for(Some(process)) {
            return None;
        }
        let mut next = *state;
        let statement = self.giving_up(it.lease, it.work.message, true);
        self.run(&mut next.database, statement);
        next.processes[process].rests();
        Some(next)
    }

    pub(super) fn giving_up(
        &self,
        lease: super::state::Lease,
        message: u8,
        is_rest: bool,
    ) -> Statement {
        match (self.mechanisms.give_up, is_rest) {
            (GiveUp::AtOnce, _) => Statement::GiveUp { lease, message },
            (GiveUp::CursorFirst, false) | (GiveUp::NoteFirst, true) => Statement::StoreCursor {
                lease,
                cursor: message,
                releases: true,
            },
            (GiveUp::CursorFirst, true) | (GiveUp::NoteFirst, false) => {
                Statement::SetParked { message }
            }
        }
    }
}
