//! Parked messages that the consumer must handle again.

use super::database::Outcome;
use super::state::{Note, Phase, State, Statement, Transaction, bit};
use super::{Handler, Leases};

impl Leases {
    /// Lists redriven messages under the lease.
    pub(super) fn reads_redriven(&self, state: &State, process: usize) -> Option<State> {
        let mut next = *state;
        let it = &mut next.processes[process];
        if it.phase != Phase::ReadsRedriven {
            return None;
        }
        it.work.message = state.database.redriven().unwrap_or(0);
        it.phase = match self.handler {
            _ if it.work.message == 0 => Phase::Releases,
            Handler::Transactional => Phase::BeginsRedriven,
            Handler::External => Phase::HandlesRedriven,
        };
        Some(next)
    }

    /// BEGIN, the touch, and `KEEP_REDRIVEN`.
    pub(super) fn begins_redriven(&self, state: &State, process: usize) -> Option<State> {
        let it = &state.processes[process];
        if it.phase != Phase::BeginsRedriven || state.row_is_locked_for(Some(process)) {
            return None;
        }
        let mut next = *state;
        let message = it.work.message;
        if !self.is_held(&state.database, it.lease) {
            next.processes[process].rests();
        } else if *next.database.note(message) == Note::Redriven {
            next.processes[process].transaction = Some(Transaction::EMPTY);
            next.processes[process].phase = Phase::HandlesRedriven;
        } else {
            next.processes[process].phase = Phase::ReadsRedriven;
        }
        Some(next)
    }

    pub(super) fn handles_redriven(&self, state: &State, process: usize) -> Option<State> {
        let mut next = *state;
        let it = &mut next.processes[process];
        if it.phase != Phase::HandlesRedriven {
            return None;
        }
        let message = it.work.message;
        it.phase = if let Some(transaction) = &mut it.transaction {
            transaction.effects |= bit(message);
            if self.mechanisms.taken_with_effects {
                Phase::TakesRedriven
            } else {
                Phase::CommitsRedriven
            }
        } else {
            next.called |= bit(message);
            if self.mechanisms.taken_with_renewal {
                Phase::TakesRedriven
            } else {
                Phase::Renews
            }
        };
        Some(next)
    }

    pub(super) fn commits_redriven(&self, state: &State, process: usize) -> Option<State> {
        if state.processes[process].phase != Phase::CommitsRedriven {
            return None;
        }
        let mut next = *state;
        next.commit(process);
        next.processes[process].phase = if self.mechanisms.taken_with_effects {
            Phase::ReadsRedriven
        } else {
            Phase::TakesRedriven
        };
        Some(next)
    }

    /// Only in a control: `renew`, before the note is taken in another step.
    pub(super) fn renews(&self, state: &State, process: usize) -> Option<State> {
        let it = &state.processes[process];
        let statement = Statement::Renew { lease: it.lease };
        self.about_redriven(
            state,
            process,
            Phase::Renews,
            statement,
            Phase::TakesRedriven,
        )
    }

    pub(super) fn takes_redriven(&self, state: &State, process: usize) -> Option<State> {
        let mut next = *state;
        let it = &mut next.processes[process];
        let (lease, message) = (it.lease, it.work.message);
        if it.phase == Phase::TakesRedriven
            && let Some(transaction) = &mut it.transaction
        {
            transaction.taken = message;
            it.phase = Phase::CommitsRedriven;
            return Some(next);
        }
        let statement = Statement::TakeRedriven { lease, message };
        self.about_redriven(
            state,
            process,
            Phase::TakesRedriven,
            statement,
            Phase::ReadsRedriven,
        )
    }

    pub(super) fn parks_again(&self, state: &State, process: usize) -> Option<State> {
        let it = &state.processes[process];
        let (lease, message, parks) = (it.lease, it.work.message, true);
        let statement = Statement::RecordFailure {
            lease,
            message,
            parks,
        };
        self.about_redriven(
            state,
            process,
            Phase::ParksAgain,
            statement,
            Phase::ReadsRedriven,
        )
    }

    fn about_redriven(
        &self,
        state: &State,
        process: usize,
        phase: Phase,
        statement: Statement,
        then: Phase,
    ) -> Option<State> {
        let it = &state.processes[process];
        if it.phase != phase || state.row_is_locked_for(Some(process)) {
            return None;
        }
        let mut next = *state;
        if self.run(&mut next.database, statement) == Outcome::Done {
            next.processes[process].phase = then;
        } else {
            next.processes[process].rests();
        }
        Some(next)
    }
}
