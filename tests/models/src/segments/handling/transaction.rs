//! Transactional handlers: the effects and the cursor commit together.

use super::state::{Job, Late, Phase, State};
use super::{Handling, LEASE};

impl Handling {
    /// BEGIN, and the cursor under owner and epoch. If no row matches, the segment is dropped.
    pub(super) fn opens(&self, state: &State, at: [usize; 2], job: Job) -> Option<State> {
        let [process, segment] = at;
        let mut next = *state;
        let it = &mut next.processes[process];
        if self.matches(state, segment, state.owner(process), job.epoch) {
            if state.is_locked(segment) {
                return None;
            }
            let phase = Phase::IsOpen { lasts: LEASE };
            it.jobs[segment] = Some(Job { phase, ..job });
            if let Some(known) = it.segments[segment].as_mut()
                && known.epoch == job.epoch
            {
                known.lasts = LEASE;
            }
        } else {
            it.jobs[segment] = None;
            let known = &mut it.segments[segment];
            known.take_if(|known| known.epoch == job.epoch);
        }
        Some(next)
    }

    /// Extends the lease again, and commits.
    pub(super) fn commits(&self, state: &State, at: [usize; 2]) -> Option<State> {
        let [process, segment] = at;
        let job = state.processes[process].jobs[segment]?;
        let Phase::IsOpen { lasts } = job.phase else {
            return None;
        };
        let lasts = self.lasts_after_commit(lasts);
        let mut next = self.is_committed(state, segment, job.message, lasts);
        let it = &mut next.processes[process];
        it.jobs[segment] = None;
        if let Some(known) = &mut it.segments[segment]
            && known.epoch == job.epoch
        {
            known.position = job.message;
            known.stored = job.message;
            known.lasts = lasts;
        }
        Some(next)
    }

    /// Loses the connection while COMMIT is on its way.
    pub(super) fn loses_commit(&self, state: &State, at: [usize; 2]) -> Option<State> {
        let [process, segment] = at;
        let job = state.processes[process].jobs[segment]?;
        let is_open = matches!(job.phase, Phase::IsOpen { .. });
        if !is_open || state.processes[process].late.is_some() {
            return None;
        }
        let mut next = *state;
        next.left.losses = next.left.losses.checked_sub(1)?;
        let it = &mut next.processes[process];
        it.late = Some(Late::Commit {
            segment,
            message: job.message,
        });
        it.jobs[segment] = None;
        if self.mechanisms.lost_commit_drops_segment {
            it.segments[segment].take_if(|known| known.epoch == job.epoch);
        }
        Some(next)
    }

    /// A COMMIT takes effect.
    pub(super) fn is_committed(
        &self,
        state: &State,
        segment: usize,
        message: u8,
        lasts: u8,
    ) -> State {
        let mut next = *state;
        next.takes_effect(message);
        let row = &mut next.rows[segment];
        next.seen.cursor_went_back |= message < row.cursor;
        row.cursor = message;
        row.lasts = lasts;
        next
    }
}
