//! The statements of a reader, and its observations.

use super::state::{Observations, Reader, Reading};
use super::{SLOTS, Slots, State};
use crate::positions::{Positions, highest, up_to};

impl Slots {
    /// Only in a control: takes the snapshot for the rows before the slots are read.
    pub(super) fn makes_snapshot(&self, state: &State, reader: usize) -> Option<State> {
        let is_early = !self.mechanisms.rows_in_later_snapshot;
        let it = state.readers[reader];
        if !is_early || it.doing != Reading::Nothing || it.snapshot.is_some() {
            return None;
        }
        let mut next = *state;
        next.readers[reader].snapshot = Some(state.database.committed);
        Some(next)
    }

    pub(super) fn reads_last(&self, state: &State, reader: usize) -> Option<State> {
        let mut next = *state;
        let it = &mut next.readers[reader];
        let now = highest(self.visible(state, state.database.committed_elsewhere))
            .max(highest(self.visible(state, state.database.committed)));
        it.doing = match it.doing {
            Reading::Nothing if self.mechanisms.last_before_slots => Reading::looks(Some(now)),
            Reading::Slots {
                last: None,
                looked_at,
                free,
            } if looked_at == self.slots => {
                Reading::HighWaterMark(self.look(&mut it.observations, state.run, now, free))
            }
            _ => return None,
        };
        let is_early = !self.mechanisms.rows_in_later_snapshot;
        (it.snapshot.is_some() == is_early).then_some(next)
    }

    /// Returns the rows that a reader's statement sees: `committed`, and in READ UNCOMMITTED also
    /// the uncommitted ones.
    fn visible(&self, state: &State, committed: Positions) -> Positions {
        let open = state.publishers.iter().map(|publisher| publisher.rows);
        let open = open.fold(0, |one, other| one | other);
        committed | if self.reads_uncommitted { open } else { 0 }
    }

    pub(super) fn looks_at_slot(&self, state: &State, reader: usize) -> Option<State> {
        let mut next = *state;
        let it = &mut next.readers[reader];
        if it.doing == Reading::Nothing && !self.mechanisms.last_before_slots {
            it.doing = Reading::looks(None);
        }
        let Reading::Slots {
            last,
            looked_at,
            mut free,
        } = it.doing
        else {
            return None;
        };
        *free.get_mut(looked_at)? = state.is_free(looked_at);
        let looked_at = looked_at + 1;
        it.doing = match last {
            Some(last) if looked_at == self.slots => {
                Reading::HighWaterMark(self.look(&mut it.observations, state.run, last, free))
            }
            _ => Reading::Slots {
                last,
                looked_at,
                free,
            },
        };
        (looked_at <= self.slots).then_some(next)
    }

    /// `SlotObservations::look`.
    fn look(&self, observations: &mut Observations, run: u8, last: u8, free: [bool; SLOTS]) -> u8 {
        let is_other_run = self.mechanisms.observations_are_of_one_run && run != observations.run;
        if is_other_run || last < observations.last {
            observations.free_at = [None; SLOTS];
        }
        observations.run = if self.mechanisms.observations_are_of_one_run {
            run
        } else {
            0
        };
        observations.last = last;
        for (free_at, free) in observations.free_at.iter_mut().zip(free) {
            if free {
                *free_at = Some(last);
            }
        }
        if !self.mechanisms.held_slots_count {
            return last;
        }
        let seen = observations.free_at[..self.slots].iter();
        if !self.mechanisms.unseen_slots_count {
            return seen.flatten().min().copied().unwrap_or(0);
        }
        seen.min().copied().flatten().unwrap_or(0)
    }

    pub(super) fn reader_inserts_slots(&self, state: &State, reader: usize) -> Option<State> {
        let found_none = state.readers[reader].doing == Reading::HighWaterMark(0);
        let mut next = *state;
        next.database.has_slots = true;
        (found_none && state.gate_is_open()).then_some(next)
    }

    pub(super) fn reads_head(&self, state: &State, reader: usize) -> Option<State> {
        let mut next = *state;
        let it = &mut next.readers[reader];
        let Reading::HighWaterMark(high_water_mark) = it.doing else {
            return None;
        };
        let head = highest(self.rows(state, it) & up_to(high_water_mark));
        if head > state.database.cursor {
            it.doing = Reading::Head(head);
        } else {
            it.rests();
        }
        Some(next)
    }

    pub(super) fn reads_page(&self, state: &State, reader: usize) -> Option<State> {
        let mut next = *state;
        let it = &mut next.readers[reader];
        let Reading::Head(head) = it.doing else {
            return None;
        };
        let cursor = state.database.cursor;
        if head > cursor {
            let page = self.rows(state, it) & up_to(head) & !up_to(cursor);
            next.database.delivered |= page;
            next.database.cursor = head;
        }
        it.rests();
        Some(next)
    }

    /// Returns the rows of the topic that a reader sees now.
    fn rows(&self, state: &State, reader: &Reader) -> Positions {
        let own = (0..state.publishers.len()).filter(|publisher| {
            self.reads_uncommitted && !self.publishers[*publisher].on_other_topic
        });
        let open = own.fold(0, |rows, publisher| rows | state.publishers[publisher].rows);
        reader.snapshot.unwrap_or(state.database.committed | open)
    }

    pub(super) fn reader_restarts(&self, state: &State, reader: usize) -> Option<State> {
        let is_new = state.readers[reader] == Reader::NEW;
        if is_new || state.reader_restarts == self.reader_restarts {
            return None;
        }
        let mut next = *state;
        next.readers[reader] = Reader::NEW;
        next.reader_restarts += 1;
        Some(next)
    }
}

impl Reading {
    /// Returns the state before the first slot is read.
    fn looks(last: Option<u8>) -> Self {
        Self::Slots {
            last,
            looked_at: 0,
            free: [false; SLOTS],
        }
    }
}
