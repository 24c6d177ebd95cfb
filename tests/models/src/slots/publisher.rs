//! The statements of a publisher.

use super::state::{Held, Publisher};
use super::{Slots, State};
use crate::positions::bit;

impl Slots {
    /// Begins a transaction if none is open.
    fn is_in_transaction(&self, it: &mut Publisher, publisher: usize) -> Option<()> {
        if !it.is_open {
            it.transactions_left = it.transactions_left.checked_sub(1)?;
            it.messages_left = self.publishers[publisher].messages;
            it.is_open = true;
        }
        Some(())
    }

    pub(super) fn locks_free_slot(
        &self,
        state: &State,
        publisher: usize,
        slot: usize,
    ) -> Option<State> {
        let mut next = *state;
        let it = &mut next.publishers[publisher];
        self.is_in_transaction(it, publisher)?;
        let comes_in_time = self.mechanisms.slot_before_drawing || it.rows != 0;
        if it.holds != Held::Nothing || !comes_in_time || !state.is_free(slot) {
            return None;
        }
        it.holds = Held::Slot(slot);
        (self.needs_slot(publisher) && slot < self.slots).then_some(next)
    }

    fn needs_slot(&self, publisher: usize) -> bool {
        self.mechanisms.slot && !self.publishers[publisher].on_other_topic
    }

    pub(super) fn inserts_slots(&self, state: &State, publisher: usize) -> Option<State> {
        let mut next = *state;
        let it = &mut next.publishers[publisher];
        self.is_in_transaction(it, publisher)?;
        it.holds = Held::All;
        (self.needs_slot(publisher) && state.gate_is_open()).then_some(next)
    }

    pub(super) fn draws_position(&self, state: &State, publisher: usize) -> Option<State> {
        let mut next = *state;
        let it = &mut next.publishers[publisher];
        self.is_in_transaction(it, publisher)?;
        it.messages_left = it.messages_left.checked_sub(1)?;
        let waits = self.needs_slot(publisher)
            && it.holds == Held::Nothing
            && self.mechanisms.slot_before_drawing;
        next.database.drawn += 1;
        it.rows |= bit(next.database.drawn);
        (!waits).then_some(next)
    }

    pub(super) fn commits(&self, state: &State, publisher: usize) -> Option<State> {
        let it = state.publishers[publisher];
        let owes_slot = self.needs_slot(publisher) && it.holds == Held::Nothing;
        if it.rows == 0 || owes_slot {
            return None;
        }
        let mut next = ends(state, publisher);
        if self.publishers[publisher].on_other_topic {
            next.database.committed_elsewhere |= it.rows;
        } else {
            next.database.committed |= it.rows;
        }
        next.database.has_slots |= it.holds == Held::All;
        Some(next)
    }

    pub(super) fn rolls_back(&self, state: &State, publisher: usize) -> Option<State> {
        let is_open = state.publishers[publisher].is_open;
        is_open.then(|| ends(state, publisher))
    }
}

/// Ends a publisher's transaction, without its rows and locks.
pub(super) fn ends(state: &State, publisher: usize) -> State {
    let mut next = *state;
    let left = next.publishers[publisher].transactions_left;
    next.publishers[publisher] = Publisher::between_transactions(left);
    next
}

impl State {
    /// Returns `true` if a slot exists and no publisher holds it.
    pub(super) fn is_free(&self, slot: usize) -> bool {
        let mut publishers = self.publishers.iter();
        self.database.has_slots && publishers.all(|other| other.holds != Held::Slot(slot))
    }

    /// Returns `true` if a transaction can insert the slots now.
    pub(super) fn gate_is_open(&self) -> bool {
        let mut publishers = self.publishers.iter();
        !self.database.has_slots && publishers.all(|other| other.holds != Held::All)
    }
}
