//! Parked messages that the consumer must handle again.

use super::database::Outcome;
use super::state::{Late, Note, Phase, State, Statement, Transaction, bit};
use super::{Handler, Leases};

impl Leases {
    /// Lists redriven messages without the lease. If there are none, the process remembers the
    /// count that it read before.
    pub(super) fn lists_redriven(&self, state: &State, process: usize) -> Option<State> {
        let Phase::Lists(seen) = state.processes[process].phase else {
            return None;
        };
        let mut next = *state;
        let it = &mut next.processes[process];
        let mut seen_rows = state.database;
        if self.lists_uncommitted {
            for taken in open_transactions(state).map(|transaction| transaction.taken) {
                if taken > 0 {
                    *seen_rows.note(taken) = Note::None;
                }
            }
        }
        if seen_rows.redriven().is_some() {
            it.phase = Phase::Takes { redriven: true };
        } else if self.mechanisms.count_is_read_first {
            it.phase = Phase::Idle;
            it.known = seen;
        } else {
            it.phase = Phase::ReadsCount;
        }
        Some(next)
    }

    /// Only in a control: reads the count after the list.
    pub(super) fn reads_count(&self, state: &State, process: usize) -> Option<State> {
        let mut next = *state;
        let it = &mut next.processes[process];
        if it.phase != Phase::ReadsCount {
            return None;
        }
        it.phase = Phase::Idle;
        it.known = state.database.redrives;
        Some(next)
    }

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

    /// BEGIN, `RENEW` and `TAKE_REDRIVEN`.
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
            next.processes[process].transaction = Some(Transaction {
                taken: message,
                ..Transaction::EMPTY
            });
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
            Phase::CommitsRedriven
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
        next.processes[process].phase = Phase::ReadsRedriven;
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
        let it = &state.processes[process];
        let (lease, message) = (it.lease, it.work.message);
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

fn open_transactions(state: &State) -> impl Iterator<Item = Transaction> {
    state.processes.iter().flat_map(|it| {
        let late = match it.late {
            Some(Late::Transaction { transaction, .. }) => Some(transaction),
            _ => None,
        };
        it.transaction.into_iter().chain(late)
    })
}
