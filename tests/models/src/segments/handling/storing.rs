//! How the cursor is stored, and the segment released.

use super::state::{Late, State, Store};
use super::{Handling, LEASE};

impl Handling {
    /// Returns the next store of a segment, or the one without an answer.
    fn next_store(&self, state: &State, at: [usize; 2], releases: bool) -> Option<Store> {
        let [process, segment] = at;
        let it = &state.processes[process];
        let known = it.segments[segment]?;
        let is_done = self
            .next_message(known.slots, known.position, it.bound)
            .is_none();
        let cursor = match is_done {
            true => known.position.max(it.bound),
            false => known.position,
        };
        // Ending a slice needs a thread.
        let running = it.jobs.iter().flatten().count();
        let is_busy = it.jobs[segment].is_some() || running >= self.threads[process];
        let is_new = cursor > known.stored;
        let (cursor, releases) = match known.unanswered {
            Some(unanswered) if unanswered.1 == releases => unanswered,
            None if releases && !is_busy || !releases && is_new && !is_done => (cursor, releases),
            _ => return None,
        };
        let omits_cursor = releases && !is_new && !self.mechanisms.release_stores_cursor;
        known.is_answered.then_some(Store {
            owner: state.owner(process),
            segment,
            epoch: known.epoch,
            cursor: (!omits_cursor).then_some(cursor),
            releases,
        })
    }

    /// `STORE_AND_HOLD` or `STORE_AND_RELEASE`. If no row matches, the segment is dropped.
    pub(super) fn stores(&self, state: &State, at: [usize; 2], releases: bool) -> Option<State> {
        let [process, segment] = at;
        let store = self.next_store(state, at, releases)?;
        let stored = self.store_arrives(state, store)?;
        let is_held = self.matches(state, segment, store.owner, store.epoch);
        let mut next = stored;
        let known = &mut next.processes[process].segments[segment];
        match known {
            Some(known) if is_held && !releases => {
                let cursor = store.cursor.unwrap_or(known.stored);
                known.stored = cursor;
                known.position = known.position.max(cursor);
                known.lasts = LEASE;
                known.unanswered = None;
            }
            _ => *known = None,
        }
        Some(next)
    }

    /// Loses the connection of a store. The process sends the same values again.
    pub(super) fn loses_store(
        &self,
        state: &State,
        at: [usize; 2],
        releases: bool,
    ) -> Option<State> {
        let [process, segment] = at;
        if state.processes[process].late.is_some() {
            return None;
        }
        let store = self.next_store(state, at, releases)?;
        let mut next = *state;
        next.left.losses = next.left.losses.checked_sub(1)?;
        let it = &mut next.processes[process];
        it.late = Some(Late::Store(store));
        if self.mechanisms.lost_store_is_repeated {
            let known = it.segments[segment].as_mut()?;
            let cursor = store.cursor.unwrap_or(known.stored);
            known.unanswered = Some((cursor, releases));
        } else {
            it.segments[segment] = None;
        }
        Some(next)
    }

    /// Writes the row, if it matches. Waits for a transaction that has written the row.
    pub(super) fn store_arrives(&self, state: &State, store: Store) -> Option<State> {
        let mut next = *state;
        if !self.matches(state, store.segment, store.owner, store.epoch) {
            return Some(next);
        }
        if state.is_locked(store.segment) {
            return None;
        }
        let row = &mut next.rows[store.segment];
        if let Some(cursor) = store.cursor {
            next.seen.cursor_went_back |= cursor < row.cursor;
            row.cursor = cursor;
        }
        row.lasts = if store.releases { 0 } else { LEASE };
        if store.releases {
            row.owner = None;
        }
        Some(next)
    }

    /// Compares the row with a lease.
    pub(super) fn matches(&self, state: &State, segment: usize, owner: u8, epoch: u8) -> bool {
        let row = &state.rows[segment];
        let is_owner = row.owner == Some(owner) || !self.mechanisms.owner_is_compared;
        let is_epoch = row.epoch == epoch || !self.mechanisms.epoch_is_compared;
        row.slots != 0 && is_owner && is_epoch
    }
}
