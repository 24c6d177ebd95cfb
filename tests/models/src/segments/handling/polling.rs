//! Polls, and how a process takes a segment.

use super::state::{Late, Segment, State, rows};
use super::{Handling, LEASE};

impl Handling {
    /// Returns `true` if there is anything to poll for. Otherwise the processes have polled.
    pub(super) fn polls(&self) -> bool {
        self.published < self.messages || !self.resizes.is_empty()
    }

    /// Reads the first value of a poll: the head, or the header's bound in a control.
    pub(super) fn begins_poll(&self, state: &State, process: usize) -> Option<State> {
        let read = match self.mechanisms.head_before_header {
            true => state.published,
            false => state.header.stop_at.unwrap_or(self.messages),
        };
        let mut next = *state;
        next.processes[process].poll = Some(read);
        (next != *state).then_some(next)
    }

    /// Reads the second value of a poll, and sets the bound.
    pub(super) fn ends_poll(&self, state: &State, process: usize) -> Option<State> {
        let mut next = *state;
        let it = &mut next.processes[process];
        let read = match self.mechanisms.head_before_header {
            true => state.header.stop_at.unwrap_or(self.messages),
            false => state.published,
        };
        it.bound = it.poll.take()?.min(read);
        it.seen_segments = state.segments().count();
        Some(next)
    }

    /// `TAKE`, if the segment is still free and has messages.
    pub(super) fn takes(&self, state: &State, process: usize, segment: usize) -> Option<State> {
        let it = &state.processes[process];
        let row = &state.rows[segment];
        let is_own = row.owner == Some(state.owner(process));
        let slots = rows(it.seen_segments, 0, 0)[segment].slots;
        let is_there = row.slots == slots || !self.mechanisms.take_compares_slots;
        let is_there = is_there && row.slots != 0 && slots != 0;
        let has_work = is_there && row.cursor < it.bound;
        let known = it.segments[segment];
        let retakes = is_own && !self.mechanisms.own_is_not_free;
        let must_answer = known.is_some_and(|it| !it.is_answered || it.unanswered.is_some());
        if !self.has_idle_thread(state, process) || known.is_some() && !retakes {
            return None;
        }
        let is_free = row.is_free() || retakes;
        if !has_work || !is_free || must_answer || !self.may_take(state, segment) {
            return None;
        }
        let mut next = self.is_taken(state, segment, state.owner(process))?;
        let row = &next.rows[segment];
        next.processes[process].segments[segment] = Some(Segment {
            slots,
            epoch: row.epoch,
            position: row.cursor,
            stored: row.cursor,
            lasts: LEASE,
            is_answered: true,
            unanswered: None,
        });
        Some(next)
    }

    fn has_idle_thread(&self, state: &State, process: usize) -> bool {
        let it = &state.processes[process];
        let known = it.segments.iter().zip(it.jobs);
        let busy = known.filter(|(segment, job)| {
            segment.is_some() && self.mechanisms.one_for_each_thread || job.is_some()
        });
        busy.count() < self.threads[process]
    }

    /// Returns `true` if the statement does not refuse the segment.
    fn may_take(&self, state: &State, segment: usize) -> bool {
        let stop_at = state.header.stop_at;
        let is_at_stop = stop_at.is_some_and(|stop_at| state.rows[segment].cursor >= stop_at);
        !(state.is_locked(segment) || is_at_stop && self.mechanisms.take_respects_stop)
    }

    fn is_taken(&self, state: &State, segment: usize, owner: u8) -> Option<State> {
        let mut next = *state;
        next.left.takes = next.left.takes.checked_sub(1)?;
        let row = &mut next.rows[segment];
        row.owner = Some(owner);
        row.epoch += 1;
        row.lasts = LEASE;
        Some(next)
    }

    /// `TAKE`, whose answer is late.
    pub(super) fn takes_slowly(&self, state: &State, at: [usize; 2]) -> Option<State> {
        let [process, segment] = at;
        let mut next = self.takes(state, process, segment)?;
        next.left.delays = next.left.delays.checked_sub(1)?;
        let known = next.processes[process].segments[segment].as_mut()?;
        known.is_answered = false;
        Some(next)
    }

    /// The late answer to the take arrives.
    pub(super) fn take_is_answered(&self, state: &State, at: [usize; 2]) -> Option<State> {
        let [process, segment] = at;
        let mut next = *state;
        let known = next.processes[process].segments[segment].as_mut()?;
        if known.is_answered {
            return None;
        }
        known.is_answered = true;
        if !self.mechanisms.takes_count_from_sending {
            known.lasts = LEASE;
        }
        Some(next)
    }

    /// Loses the connection of a take. The process knows nothing of it.
    pub(super) fn loses_take(&self, state: &State, at: [usize; 2]) -> Option<State> {
        let [process, segment] = at;
        if state.processes[process].late.is_some() {
            return None;
        }
        self.takes(state, process, segment)?;
        let mut next = *state;
        next.left.losses = next.left.losses.checked_sub(1)?;
        let owner = state.owner(process);
        next.processes[process].late = Some(Late::Take { owner, segment });
        Some(next)
    }

    /// A take on a lost connection arrives.
    pub(super) fn late_take_arrives(
        &self,
        state: &State,
        segment: usize,
        owner: u8,
    ) -> Option<State> {
        let row = &state.rows[segment];
        if row.slots != 0 && row.is_free() && self.may_take(state, segment) {
            return self.is_taken(state, segment, owner);
        }
        Some(*state)
    }
}
