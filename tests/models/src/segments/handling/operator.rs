//! Resets, and changes of the number of segments.

use super::state::{Header, Row, State, rows};
use super::{Handling, MESSAGES, SEGMENTS};

impl Handling {
    /// Resets all segments to the start, in one transaction. Refused if a segment is held.
    pub(super) fn resets(&self, state: &State) -> Option<State> {
        let is_refused = state.segments().any(|row| !row.is_free());
        let is_locked = (0..SEGMENTS).any(|segment| state.is_locked(segment));
        if is_refused || is_locked || state.replacing {
            return None;
        }
        let mut next = *state;
        next.left.resets = next.left.resets.checked_sub(1)?;
        next.effects = [0; MESSAGES];
        for row in next.rows.iter_mut().filter(|row| row.slots != 0) {
            row.cursor = 0;
            if self.mechanisms.reset_removes_owner {
                row.owner = None;
            }
            if self.mechanisms.reset_begins_epoch {
                row.epoch += 1;
            }
        }
        Some(next)
    }

    /// Reads the position for `stop_at`: the last position, or the highest cursor if that is later.
    pub(super) fn reads_stop(&self, state: &State) -> Option<State> {
        let is_busy = state.header.target.is_some() || state.operator.is_some();
        let mut next = *state;
        next.operator = Some(state.published.max(highest_cursor(state)));
        (!is_busy && state.left.resizes > 0).then_some(next)
    }

    /// Writes the target and `stop_at` to the header.
    pub(super) fn sets_target(&self, state: &State) -> Option<State> {
        let stop_at = state.operator?;
        let mut next = *state;
        next.operator = None;
        let done = self.resizes.len() - state.left.resizes;
        next.left.resizes = next.left.resizes.checked_sub(1)?;
        next.header = Header {
            target: Some(self.resizes[done]),
            stop_at: Some(stop_at),
        };
        Some(next)
    }

    /// Raises `stop_at` to the highest cursor.
    pub(super) fn raises_stop(&self, state: &State) -> Option<State> {
        let mut next = *state;
        let stop_at = next.header.stop_at.as_mut()?;
        *stop_at = (*stop_at).max(highest_cursor(state));
        (self.mechanisms.stop_is_raised && next != *state).then_some(next)
    }

    /// Checks that all segments are free, and that their cursors are equal to `stop_at`. In a control,
    /// the segments of a process are free for that process.
    fn can_replace(&self, state: &State, own: Option<u8>) -> bool {
        let Some(stop_at) = state.header.stop_at else {
            return false;
        };
        let is_locked = (0..SEGMENTS).any(|segment| state.is_locked(segment));
        let own = own.filter(|_| !self.mechanisms.replacing_spares_own);
        let is_there = |row: &Row| match self.mechanisms.replaces_at_equal_cursors {
            true => row.cursor == stop_at,
            false => row.cursor >= stop_at,
        };
        let is_free = |row: &Row| row.is_free() || own.is_some() && row.owner == own;
        let mut segments = state.segments();
        !is_locked && !state.replacing && segments.all(|row| is_free(row) && is_there(row))
    }

    /// Replaces the rows, in one transaction that checks again.
    pub(super) fn replaces(&self, state: &State, process: usize) -> Option<State> {
        let at_once = self.mechanisms.replacing_checks_again && self.mechanisms.replaces_at_once;
        let is_locked = (0..SEGMENTS).any(|segment| state.is_locked(segment));
        let is_checked = match at_once {
            true => self.can_replace(state, Some(state.owner(process))),
            false => state.replacing && !is_locked,
        };
        let (Some(segments), Some(cursor), true) =
            (state.header.target, state.header.stop_at, is_checked)
        else {
            return None;
        };
        let epoch = match self.mechanisms.new_rows_continue_epochs {
            true => state.segments().map(|row| row.epoch + 1).max().unwrap_or(0),
            false => 0,
        };
        let mut next = *state;
        next.rows = rows(segments, cursor, epoch);
        next.header = self.initial().header;
        next.replacing = false;
        Some(next)
    }

    /// Only in controls: checks the rows, or deletes them, in a transaction of its own.
    pub(super) fn prepares_replacing(&self, state: &State) -> Option<State> {
        let deletes = !self.mechanisms.replaces_at_once;
        let is_apart = deletes || !self.mechanisms.replacing_checks_again;
        let mut next = *state;
        next.replacing = true;
        if deletes {
            next.rows = Default::default();
        }
        (is_apart && self.can_replace(state, None)).then_some(next)
    }
}

fn highest_cursor(state: &State) -> u8 {
    let cursors = state.segments().map(|row| row.cursor);
    cursors.max().unwrap_or(0)
}
