//! The effects of statements on the database.

use super::state::{Effects, Phase, State, Transaction, bit, effect, message_of};
use super::{Deed, Page, Server};

impl Transaction {
    pub(super) fn new(is_own: bool) -> Self {
        Self {
            is_own,
            is_aborted: false,
            effects: 0,
            has_row: false,
            begun: false,
            cursor: None,
        }
    }

    /// Returns `true` if the library has begun this transaction, and can commit it.
    pub(super) fn is_intact(&self) -> bool {
        self.is_own && !self.is_aborted
    }
}

impl State {
    /// Commits the transaction of a connection.
    pub(super) fn commit(&mut self, process: usize) {
        let Some(transaction) = self.processes[process].transaction.take() else {
            return;
        };
        // PostgreSQL rolls back, and reports no error.
        if transaction.is_aborted {
            return;
        }
        self.make_final(process, transaction.effects);
        if transaction.has_row {
            self.row.begun = transaction.begun;
            self.row.cursor = transaction.cursor;
        }
    }

    pub(super) fn roll_back(&mut self, process: usize) {
        self.processes[process].transaction = None;
    }

    fn make_final(&mut self, process: usize, effects: Effects) {
        // The new holder took the lease before this commit, so it cannot know of it.
        if let Phase::Handles(run) = self.processes[process].phase
            && !self.holds_lease(process)
        {
            self.history.unnoted |= bit(run.message);
        }
        for (effect, count) in self.effects.iter_mut().enumerate() {
            let comes = effects >> effect & 1;
            let message = message_of(effect);
            // A hook that has failed is called again.
            if comes == 1 && *count > 0 && message > 0 {
                self.history.unannounced |= bit(message) & !self.history.announced;
            }
            *count += comes;
        }
    }

    /// Runs a statement of a handler that writes, in the open transaction or by itself.
    pub(super) fn write(&mut self, process: usize, message: u8, second: bool) {
        let effects = 1 << effect(message, second);
        match &mut self.processes[process].transaction {
            Some(transaction) if transaction.is_aborted => {}
            Some(transaction) => transaction.effects |= effects,
            None => self.make_final(process, effects),
        }
    }
}

impl Page {
    /// Returns `true` if a connection can write now. On SQLite, it waits until no other connection
    /// has a transaction.
    pub(super) fn may_write(&self, state: &State, process: usize) -> bool {
        let mut others = state.processes.iter().enumerate();
        self.server != Server::Sqlite
            || others.all(|(other, it)| other == process || it.transaction.is_none())
    }

    /// Applies the deed of a handler to its transaction.
    pub(super) fn do_deed(&self, state: &mut State, process: usize, deed: Deed) {
        let transaction = &mut state.processes[process].transaction;
        match (deed, self.server) {
            (Deed::FailsStatement | Deed::MakesServerRollBack, Server::Postgres) => {
                if let Some(transaction) = transaction {
                    transaction.is_aborted = true;
                }
            }
            (Deed::FailsStatement, _) | (Deed::RunsDdl, Server::Postgres | Server::Sqlite) => {}
            (Deed::RunsDdl, Server::Mysql) | (Deed::Commits, _) => state.commit(process),
            (Deed::CommitsAndBegins, _) => {
                state.commit(process);
                state.processes[process].transaction = Some(Transaction::new(false));
            }
            (Deed::RollsBack, _) | (Deed::MakesServerRollBack, _) => state.roll_back(process),
            (Deed::RollsBackAndBegins, _) => {
                *transaction = Some(Transaction::new(false));
            }
        }
    }

    /// Returns `true` if COMMIT fails, and rolls the transaction back.
    pub(super) fn commit_is_refused(&self, state: &State, process: usize) -> bool {
        let effects = state.processes[process].transaction.map(|it| it.effects);
        self.poison
            .is_some_and(|message| effects.unwrap_or(0) >> effect(message, false) & 1 == 1)
    }
}
