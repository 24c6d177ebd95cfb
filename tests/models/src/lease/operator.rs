//! Redrives and resets.

use super::Leases;
use super::database::Outcome;
use super::state::{Lease, Note, State, Statement};

/// The owner of a lease that is taken for a reset.
const OPERATOR: u8 = u8::MAX;

impl Leases {
    /// `redrive` of all parked messages. It does not write the consumer's row.
    pub(super) fn redrives(&self, state: &State) -> Option<State> {
        let parked = |note: &Note| *note == Note::Parked;
        if !state.database.notes.iter().any(parked) {
            return None;
        }
        let mut next = *state;
        next.left.redrives = next.left.redrives.checked_sub(1)?;
        for note in next.database.notes.iter_mut().filter(|note| parked(note)) {
            *note = Note::Redriven;
        }
        Some(next)
    }

    pub(super) fn reset_takes_lease(&self, state: &State) -> Option<State> {
        if state.reset.is_some() || state.row_is_locked_for(None) {
            return None;
        }
        let mut next = *state;
        next.left.resets = next.left.resets.checked_sub(1)?;
        let owner = OPERATOR;
        if self.run(&mut next.database, Statement::Take { owner }) == Outcome::Nothing {
            return None;
        }
        let epoch = next.database.epoch;
        next.reset = Some(Lease { owner, epoch });
        Some(next)
    }

    /// `RESET` and `FORGET_VOID`, if the operator still holds the lease. Messages that come from
    /// now on are replays.
    pub(super) fn reset_moves_cursor(&self, state: &State) -> Option<State> {
        let lease = state.reset?;
        if state.row_is_locked_for(None) {
            return None;
        }
        let mut next = *state;
        next.reset = None;
        if self.is_held(&state.database, lease) {
            next.database.cursor = 0;
            next.database.release();
            next.database.notes = [Note::None; super::MESSAGES];
            next.database.effects = [0; super::MESSAGES];
            next.called = 0;
        }
        Some(next)
    }
}
