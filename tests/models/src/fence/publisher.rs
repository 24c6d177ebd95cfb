//! The statements of a publisher.

use super::state::{Publisher, Publishing, Savepoint, Transaction};
use super::{Fence, State};
use crate::positions::bit;

impl Fence {
    pub(super) fn dispatches(
        &self,
        state: &State,
        publisher: usize,
        topic: usize,
    ) -> Option<State> {
        let mut next = *state;
        let it = &mut next.publishers[publisher];
        if it.doing != Publishing::Nothing {
            return None;
        }
        self.is_in_transaction(it, publisher)?;
        it.messages_left = it.messages_left.checked_sub(1)?;
        let needs_lock = self.mechanisms.lock && !it.transaction.held[self.setting(topic)];
        let last = state.database.last[self.topics[topic].sequence];
        it.doing = match (needs_lock, self.mechanisms.lock_before_drawing) {
            (true, true) => Publishing::Locks { topic, last },
            (true, false) => Publishing::Draws {
                topic,
                locks: Some(last),
            },
            (false, _) => Publishing::Draws { topic, locks: None },
        };
        Some(next)
    }

    /// Begins a transaction if none is open.
    fn is_in_transaction(&self, it: &mut Publisher, publisher: usize) -> Option<()> {
        if !it.transaction.is_open {
            it.transactions_left = it.transactions_left.checked_sub(1)?;
            it.messages_left = self.publishers[publisher].messages;
            it.transaction.is_open = true;
        }
        Some(())
    }

    /// Returns the setting that remembers the lock for a topic. Its number is that of the first
    /// topic with the same setting.
    fn setting(&self, topic: usize) -> usize {
        let of = |topic: usize| {
            let topic = self.topics[topic];
            let sequence = self
                .mechanisms
                .setting_names_sequence
                .then_some(topic.sequence);
            (topic.class, sequence)
        };
        (0..topic)
            .find(|other| of(*other) == of(topic))
            .unwrap_or(topic)
    }

    pub(super) fn takes_lock(&self, state: &State, publisher: usize) -> Option<State> {
        let mut next = *state;
        let it = &mut next.publishers[publisher];
        let Publishing::Locks { topic, last } = it.doing else {
            return None;
        };
        it.transaction.locks[topic] = Some(last);
        it.transaction.held[self.setting(topic)] = true;
        it.doing = if self.mechanisms.lock_before_drawing {
            Publishing::Draws { topic, locks: None }
        } else {
            Publishing::Nothing
        };
        Some(next)
    }

    pub(super) fn draws_position(&self, state: &State, publisher: usize) -> Option<State> {
        let mut next = *state;
        let it = &mut next.publishers[publisher];
        let Publishing::Draws { topic, locks } = it.doing else {
            return None;
        };
        let last = &mut next.database.last[self.topics[topic].sequence];
        *last += 1;
        it.transaction.rows[topic] |= bit(*last);
        it.doing = locks.map_or(Publishing::Nothing, |last| Publishing::Locks {
            topic,
            last,
        });
        Some(next)
    }

    pub(super) fn sets_savepoint(&self, state: &State, publisher: usize) -> Option<State> {
        let mut next = *state;
        let it = &mut next.publishers[publisher];
        let may = self.publishers[publisher].savepoint && it.savepoint == Savepoint::NotYet;
        if !may || it.doing != Publishing::Nothing {
            return None;
        }
        self.is_in_transaction(it, publisher)?;
        it.savepoint = Savepoint::Set(it.transaction);
        Some(next)
    }

    /// Undoes the rows, locks and settings of the transaction since the savepoint.
    pub(super) fn rolls_back_to_savepoint(&self, state: &State, publisher: usize) -> Option<State> {
        let mut next = *state;
        let it = &mut next.publishers[publisher];
        let Savepoint::Set(then) = it.savepoint else {
            return None;
        };
        if it.doing != Publishing::Nothing || it.transaction == then {
            return None;
        }
        let held = it.transaction.held;
        it.transaction = then;
        if !self.mechanisms.setting_ends_with_savepoint {
            it.transaction.held = held;
        }
        it.savepoint = Savepoint::RolledBack;
        Some(next)
    }

    pub(super) fn commits(&self, state: &State, publisher: usize) -> Option<State> {
        let Transaction { is_open, rows, .. } = state.publishers[publisher].transaction;
        let is_at_rest = state.publishers[publisher].doing == Publishing::Nothing;
        if !is_open || !is_at_rest {
            return None;
        }
        let mut next = self.ends(state, publisher);
        for (committed, rows) in next.database.committed.iter_mut().zip(rows) {
            *committed |= rows;
        }
        Some(next)
    }

    pub(super) fn rolls_back(&self, state: &State, publisher: usize) -> Option<State> {
        let is_open = state.publishers[publisher].transaction.is_open;
        is_open.then(|| self.ends(state, publisher))
    }

    /// Ends the transaction, without its rows, locks and settings.
    pub(super) fn ends(&self, state: &State, publisher: usize) -> State {
        let mut next = *state;
        let left = next.publishers[publisher].transactions_left;
        next.publishers[publisher] = Publisher::between_transactions(left);
        next
    }
}
