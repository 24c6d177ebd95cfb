//! Time, and processes that are suspended or killed.

use super::state::{Owner, Process};
use super::{Holding, LEASE, PROCESSES, State, Step};

impl Holding {
    /// Lets a unit of time pass. Processes that are not suspended renew their leases.
    pub(super) fn time_passes(&self, state: &State) -> Option<State> {
        let mut next = *state;
        for segment in 0..self.segments {
            let row = &mut next.rows[segment];
            let before = row.lasts;
            row.lasts = before.saturating_sub(1);
            for process in 0..PROCESSES {
                let it = &mut next.processes[process];
                let known = &mut it.known[segment];
                let is_latest = row.owner == Some(Owner::Process(process));
                let is_renewed = known.is_some() || !self.mechanisms.renews_what_it_knows;
                if !it.is_suspended && is_latest && before > 0 && is_renewed {
                    row.lasts = LEASE;
                    *known = known.map(|_| LEASE);
                } else {
                    *known = known.map(|lasts| lasts.saturating_sub(1));
                }
            }
        }
        (next != *state).then_some(next)
    }

    /// Forgets a segment whose lease has run out.
    pub(super) fn drops(state: &State, process: usize, segment: usize) -> Option<State> {
        let mut next = *state;
        let known = next.processes[process].known[segment].take();
        (known == Some(0)).then_some(next)
    }

    pub(super) fn is_suspended(state: &State, process: usize) -> Option<State> {
        let mut next = *state;
        let it = &mut next.processes[process];
        if it.is_suspended {
            return None;
        }
        next.left.suspensions = next.left.suspensions.checked_sub(1)?;
        it.is_suspended = true;
        Some(next)
    }

    pub(super) fn resumes(state: &State, process: usize) -> Option<State> {
        let mut next = *state;
        next.processes[process].is_suspended = false;
        state.processes[process].is_suspended.then_some(next)
    }

    pub(super) fn is_killed(state: &State, process: usize) -> Option<State> {
        let mut next = *state;
        next.left.kills = next.left.kills.checked_sub(1)?;
        next.processes[process] = Process::after(state.order);
        for row in &mut next.rows {
            if row.owner == Some(Owner::Process(process)) {
                row.owner = Some(Owner::Killed);
            }
        }
        Some(next)
    }

    /// Returns the steps of a process on a segment.
    pub(super) fn at(process: usize, segment: usize) -> [Step; 6] {
        [
            Step::Takes,
            Step::EndsSlice,
            Step::FailsSlice,
            Step::EndsPage,
            Step::Drops,
            Step::TakesWithoutAnswer,
        ]
        .map(|step| step(process, segment))
    }
}
