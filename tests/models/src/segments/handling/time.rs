//! Time, renewals, and processes that are suspended or killed.

use super::state::{Phase, Process, State};
use super::{Handling, LEASE, PROCESSES};

impl Handling {
    /// Lets a unit of time pass. Processes that are not suspended renew their leases.
    pub(super) fn time_passes(&self, state: &State) -> Option<State> {
        let mut next = *state;
        for row in &mut next.rows {
            row.lasts = row.lasts.saturating_sub(1);
        }
        for process in 0..PROCESSES {
            self.passes_for(&mut next, state, process);
        }
        (next != *state).then_some(next)
    }

    fn passes_for(&self, next: &mut State, before: &State, process: usize) {
        let renews = self.can_renew(before, process);
        let it = &mut next.processes[process];
        it.renewal = it.renewal.map(|lasts| lasts.saturating_sub(1));
        for segment in 0..it.segments.len() {
            let job = &mut it.jobs[segment];
            if let Some(Phase::IsOpen { lasts }) = job.as_mut().map(|job| &mut job.phase) {
                *lasts = lasts.saturating_sub(1);
            }
            let Some(known) = &mut it.segments[segment] else {
                continue;
            };
            let is_renewed = renews
                && known.is_answered
                && before.holds(process, segment, known.epoch)
                && !before.is_locked(segment);
            if is_renewed && before.rows[segment].lasts > 0 {
                known.lasts = LEASE;
                next.rows[segment].lasts = LEASE;
            } else {
                known.lasts = known.lasts.saturating_sub(1);
            }
            let is_overdue = known.lasts == 0;
            if let Some(job) = job.as_mut()
                && job.phase == Phase::HandedOut
            {
                job.is_overdue |= is_overdue;
            }
        }
    }

    /// Returns `true` if the renewal of a process is answered in this unit of time.
    fn can_renew(&self, state: &State, process: usize) -> bool {
        let it = &state.processes[process];
        let open = |phase| matches!(phase, Phase::IsOpen { .. });
        let waits = it.jobs.iter().flatten().any(|job| open(job.phase));
        let waits = waits && !self.mechanisms.renewal_skips_locked;
        !it.is_suspended && it.renewal.is_none() && !waits
    }

    /// Renews the leases that a process knows. The answer is late.
    pub(super) fn renews_slowly(&self, state: &State, process: usize) -> Option<State> {
        let mut next = *state;
        let it = &mut next.processes[process];
        if it.renewal.is_some() || it.segments.iter().flatten().count() == 0 {
            return None;
        }
        next.left.delays = next.left.delays.checked_sub(1)?;
        it.renewal = Some(LEASE);
        for segment in 0..it.segments.len() {
            let known = state.processes[process].segments[segment];
            let is_held = known.is_some_and(|it| state.holds(process, segment, it.epoch));
            if is_held && !state.is_locked(segment) {
                next.rows[segment].lasts = LEASE;
            }
        }
        Some(next)
    }

    /// The late answer to a renewal arrives.
    pub(super) fn renewal_is_answered(&self, state: &State, process: usize) -> Option<State> {
        let mut next = *state;
        let it = &mut next.processes[process];
        let mut lasts = it.renewal.take()?;
        if !self.mechanisms.renewals_count_from_sending {
            lasts = LEASE;
        }
        for known in it.segments.iter_mut().flatten() {
            known.lasts = known.lasts.max(lasts);
        }
        Some(next)
    }

    pub(super) fn is_suspended(&self, state: &State, process: usize) -> Option<State> {
        let mut next = *state;
        let it = &mut next.processes[process];
        if it.is_suspended {
            return None;
        }
        next.left.suspensions = next.left.suspensions.checked_sub(1)?;
        it.is_suspended = true;
        Some(next)
    }

    pub(super) fn resumes(&self, state: &State, process: usize) -> Option<State> {
        let mut next = *state;
        next.processes[process].is_suspended = false;
        state.processes[process].is_suspended.then_some(next)
    }

    /// Kills a process. Statements on their way can still arrive.
    pub(super) fn is_killed(&self, state: &State, process: usize) -> Option<State> {
        let mut next = *state;
        next.left.kills = next.left.kills.checked_sub(1)?;
        let it = &state.processes[process];
        next.processes[process] = Process {
            late: it.late,
            life: it.life + 1,
            ..self.initial().processes[process]
        };
        Some(next)
    }
}
