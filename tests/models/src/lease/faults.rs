//! Faults: leases expire, processes die, connections are lost while a statement is on its way, and
//! a crash of the server undoes commits.

use super::state::{Late, Phase, State, Statement};
use super::{Handler, Leases, PROCESSES};

impl Leases {
    /// Expires the lease. For the lease of a dead process, this is not limited by the bounds.
    pub(super) fn lease_expires(&self, state: &State) -> Option<State> {
        let owner = state
            .database
            .owner
            .filter(|_| !state.database.has_expired)?;
        let mut living = (0..PROCESSES).map(|process| state.owner(process));
        let is_of_living = living.any(|living| living == owner) || state.reset.is_some();
        let mut next = *state;
        if is_of_living {
            next.left.expiries = next.left.expiries.checked_sub(1)?;
        }
        next.database.has_expired = true;
        Some(next)
    }

    /// Loses a connection. The statement on its way can arrive later, or never.
    pub(super) fn loses_connection(&self, state: &State, process: usize) -> Option<State> {
        let it = &state.processes[process];
        if it.phase == Phase::Idle || it.late.is_some() {
            return None;
        }
        let mut next = *state;
        next.left.losses = next.left.losses.checked_sub(1)?;
        next.processes[process].late = self.on_its_way(state, process);
        self.has_new_connection(&mut next, process);
        Some(next)
    }

    /// Gives a process a new connection. Decides whether it keeps its lease.
    fn has_new_connection(&self, state: &mut State, process: usize) {
        let it = &mut state.processes[process];
        let keeps_lease = match (self.handler, it.phase) {
            (_, Phase::Handles | Phase::StoresCursor) => true,
            (Handler::Transactional, Phase::Begins) => true,
            (Handler::Transactional, Phase::Commits) => !self.mechanisms.lost_commit_ends_lease,
            _ => false,
        };
        if !keeps_lease || !self.lease_outlives_connection {
            it.rests();
        } else if self.handler == Handler::Transactional {
            // The page is handled again.
            it.work.handled -= it.handled_in_transaction();
            it.transaction = None;
            it.phase = Phase::Begins;
        }
    }

    pub(super) fn dies(&self, state: &State, process: usize) -> Option<State> {
        let it = &state.processes[process];
        if it.phase == Phase::Idle || it.late.is_some() {
            return None;
        }
        let mut next = *state;
        next.left.deaths = next.left.deaths.checked_sub(1)?;
        // No process can take the lease before it expires, so it expires in this step.
        next.database.has_expired |= state.database.owner == Some(state.owner(process));
        let it = &mut next.processes[process];
        it.late = self.on_its_way(state, process);
        it.life += 1;
        it.rests();
        Some(next)
    }

    fn on_its_way(&self, state: &State, process: usize) -> Option<Late> {
        let it = &state.processes[process];
        if let Some(transaction) = it.transaction {
            let commits = matches!(it.phase, Phase::Commits | Phase::CommitsRedriven);
            return Some(Late::Transaction {
                transaction,
                commits,
            });
        }
        self.sends(state, process).map(Late::Statement)
    }

    /// Returns the statement that a process has sent, if it commits by itself.
    fn sends(&self, state: &State, process: usize) -> Option<Statement> {
        let it = &state.processes[process];
        let (lease, message) = (it.lease, it.work.message);
        Some(match it.phase {
            Phase::Takes { .. } => Statement::Take {
                owner: state.owner(process),
            },
            Phase::StoresCursor => Statement::StoreCursor {
                lease,
                cursor: it.work.end,
                releases: message == 0 && !self.is_stored_first(),
            },
            Phase::RecordsFailure | Phase::ParksAgain => Statement::RecordFailure {
                lease,
                message,
                parks: it.phase == Phase::ParksAgain,
            },
            Phase::GivesUp => self.giving_up(lease, message, false),
            Phase::GivesUpRest => self.giving_up(lease, message, true),
            Phase::Renews => Statement::Renew { lease },
            Phase::TakesRedriven => Statement::TakeRedriven { lease, message },
            Phase::Releases => Statement::Release { lease },
            _ => return None,
        })
    }

    pub(super) fn late_arrives(&self, state: &State, process: usize) -> Option<State> {
        let mut next = *state;
        match next.processes[process].late.take()? {
            Late::Statement(statement) => {
                // Other statements wait for the lock. `TAKE` does not wait: it changes nothing
                // then, as if it were lost.
                let is_locked = state.row_is_locked_for(None);
                if is_locked {
                    return None;
                }
                self.run(&mut next.database, statement);
            }
            Late::Transaction {
                transaction,
                commits: true,
            } => next.database.commit(transaction),
            Late::Transaction { .. } => return None,
        }
        Some(next)
    }

    /// Discards the statement on its way: the server notices the lost connection, and rolls back.
    pub(super) fn late_is_lost(&self, state: &State, process: usize) -> Option<State> {
        let mut next = *state;
        next.processes[process].late.take()?;
        Some(next)
    }

    pub(super) fn disk_is_flushed(&self, state: &State) -> Option<State> {
        let is_of_use = state.left.crashes > 0 && state.on_disk != state.database;
        is_of_use.then_some(State {
            on_disk: state.database,
            ..*state
        })
    }

    pub(super) fn server_crashes(&self, state: &State) -> Option<State> {
        let mut next = *state;
        next.left.crashes = next.left.crashes.checked_sub(1)?;
        next.database = state.on_disk;
        for process in 0..PROCESSES {
            next.processes[process].late = None;
            self.has_new_connection(&mut next, process);
        }
        Some(next)
    }
}
