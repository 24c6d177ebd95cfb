//! The changes that statements make to rows.

use super::Leases;
use super::state::{Database, Lease, Note, State, Statement, Transaction};

/// The result of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// It has found no row to change: another holder has the lease, or the message is not in the
    /// expected state.
    Nothing,
}

impl Leases {
    /// `WHERE owner = ? AND epoch = ?`.
    pub(super) fn is_held(&self, database: &Database, lease: Lease) -> bool {
        let Lease { owner, epoch } = lease;
        (!self.mechanisms.owner_is_compared || database.owner == Some(owner))
            && (!self.mechanisms.epoch_is_compared || database.epoch == epoch)
    }

    pub(super) fn run(&self, database: &mut Database, statement: Statement) -> Outcome {
        let in_failures =
            |lease| !self.mechanisms.failures_under_lease || self.is_held(database, lease);
        let is_done = match statement {
            Statement::Take { owner } => {
                database.owner.is_none_or(|holder| holder == owner) || database.has_expired
            }
            Statement::StoreCursor { lease, .. }
            | Statement::Renew { lease }
            | Statement::Release { lease } => self.is_held(database, lease),
            Statement::RecordFailure { lease, .. } | Statement::GiveUp { lease, .. } => {
                in_failures(lease)
            }
            Statement::SetParked { .. } => true,
            Statement::TakeRedriven { lease, message } => {
                let is_free = !self.mechanisms.taken_with_renewal || self.is_held(database, lease);
                is_free && *database.note(message) == Note::Redriven
            }
        };
        if !is_done {
            return Outcome::Nothing;
        }
        self.write(database, statement);
        Outcome::Done
    }

    fn write(&self, database: &mut Database, statement: Statement) {
        match statement {
            Statement::Take { owner } => {
                database.owner = Some(owner);
                database.epoch += 1;
                database.has_expired = false;
            }
            Statement::StoreCursor {
                cursor, releases, ..
            } => database.store(cursor, releases),
            Statement::RecordFailure { message, parks, .. } => {
                database.has_expired = false;
                let note = database.note(message);
                *note = match *note {
                    _ if parks => Note::Parked,
                    Note::Failing(attempts) => Note::Failing(attempts + 1),
                    _ => Note::Failing(1),
                };
            }
            Statement::GiveUp { message, .. } => {
                database.store(message, true);
                *database.note(message) = Note::Parked;
            }
            Statement::SetParked { message } => *database.note(message) = Note::Parked,
            Statement::Renew { .. } => database.has_expired = false,
            Statement::TakeRedriven { message, .. } => {
                *database.note(message) = Note::None;
                database.has_expired &= !self.mechanisms.taken_with_renewal;
            }
            Statement::Release { .. } => database.release(),
        }
    }
}

impl Database {
    fn store(&mut self, cursor: u8, releases: bool) {
        self.cursor = cursor;
        self.has_expired = false;
        if releases {
            self.release();
        }
    }

    pub(super) fn release(&mut self) {
        self.owner = None;
        self.has_expired = false;
    }

    pub(super) fn commit(&mut self, transaction: Transaction) {
        self.has_expired = false;
        for (index, count) in self.effects.iter_mut().enumerate() {
            *count += transaction.effects >> (index + 1) & 1;
        }
        if let Some(cursor) = transaction.cursor {
            self.store(cursor, transaction.releases);
        }
        if transaction.taken > 0 {
            *self.note(transaction.taken) = Note::None;
        }
    }
}

impl State {
    /// Commits the transaction of a process's connection.
    pub(super) fn commit(&mut self, process: usize) {
        if let Some(transaction) = self.processes[process].transaction.take() {
            self.database.commit(transaction);
        }
    }
}
