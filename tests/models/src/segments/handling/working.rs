//! How messages are handed out, and how external handlers end.

use super::state::{Job, Phase, State};
use super::{Handler, Handling, LEASE};

impl Handling {
    /// Checks the lease, and hands the next message of a segment to a thread.
    pub(super) fn hands_out(&self, state: &State, at: [usize; 2]) -> Option<State> {
        let [process, segment] = at;
        let it = &state.processes[process];
        let known = it.segments[segment]?;
        let running = it.jobs.iter().flatten().count();
        let beside_thread = it.jobs[segment].is_some();
        let waits = beside_thread && self.mechanisms.waits_for_late_thread;
        let is_current = it.jobs[segment].is_some_and(|job| job.epoch == known.epoch);
        let is_known = known.is_answered && known.unanswered.is_none() && known.lasts > 0;
        if !is_known || waits || is_current || running >= self.threads[process] {
            return None;
        }
        let message = self.next_message(known.slots, known.position, it.bound)?;
        let mut next = *state;
        next.seen.began_beside_thread |= beside_thread;
        next.processes[process].jobs[segment] = Some(Job {
            epoch: known.epoch,
            message,
            phase: Phase::HandedOut,
            is_overdue: false,
        });
        Some(next)
    }

    /// The thread begins the message. Unless `hands_out_apart`, this hands the message out, too.
    pub(super) fn begins(&self, state: &State, at: [usize; 2]) -> Option<State> {
        match self.hands_out_apart {
            true => self.begins_job(state, at),
            false => self.begins_job(&self.hands_out(state, at)?, at),
        }
    }

    fn begins_job(&self, state: &State, at: [usize; 2]) -> Option<State> {
        let [process, segment] = at;
        let job = state.processes[process].jobs[segment]?;
        if job.phase != Phase::HandedOut {
            return None;
        }
        if self.handler == Handler::Transactional {
            return self.opens(state, at, job);
        }
        let mut next = *state;
        let holds = state.holds(process, segment, job.epoch);
        next.seen.began_without_lease |= !holds && !job.is_overdue;
        next.takes_effect(job.message);
        next.processes[process].jobs[segment] = Some(Job {
            phase: Phase::Runs,
            ..job
        });
        Some(next)
    }

    /// The external handler returns. Its result names the epoch.
    pub(super) fn ends(&self, state: &State, at: [usize; 2]) -> Option<State> {
        let [process, segment] = at;
        let job = state.processes[process].jobs[segment]?;
        if job.phase != Phase::Runs || self.never_ends == Some(job.message) {
            return None;
        }
        let mut next = *state;
        let it = &mut next.processes[process];
        it.jobs[segment] = None;
        if let Some(known) = &mut it.segments[segment]
            && (known.epoch == job.epoch || !self.mechanisms.results_name_epoch)
        {
            known.position = job.message;
        }
        Some(next)
    }

    /// Drops a segment whose lease has run out.
    pub(super) fn drops(&self, state: &State, at: [usize; 2]) -> Option<State> {
        let [process, segment] = at;
        let it = &state.processes[process];
        let known = it.segments[segment]?;
        let is_open = it.jobs[segment].is_some_and(|job| {
            job.epoch == known.epoch && matches!(job.phase, Phase::IsOpen { .. })
        });
        let must_keep = known.unanswered.is_some() || !known.is_answered;
        let is_kept = is_open && self.mechanisms.open_transaction_keeps_segment;
        let mut next = *state;
        next.processes[process].segments[segment] = None;
        (known.lasts == 0 && !must_keep && !is_kept).then_some(next)
    }

    /// Returns the units of time that a lease lasts after COMMIT.
    pub(super) fn lasts_after_commit(&self, begun: u8) -> u8 {
        match self.mechanisms.commit_extends_lease {
            true => LEASE,
            false => begun,
        }
    }
}
