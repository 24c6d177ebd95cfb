use stateright::Property;

use super::state::{Owner, bit};
use super::{Holding, LEASE, Mechanisms, PROCESSES, State, laws};
use crate::check::{Checked, Protocol};
use crate::progress::Progress;

/// An action of one participant, during which no other participant acts. The numbers identify a
/// process and a segment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// Reads the rows of all segments, and chooses segments to take.
    Polls(usize),
    /// `TAKE` of a chosen segment.
    Takes(usize, usize),
    /// `TAKE` of a chosen segment, of which the answer is lost.
    TakesWithoutAnswer(usize, usize),
    /// Releases a segment that still has work, because the slice is over.
    EndsSlice(usize, usize),
    /// Releases a segment whose cursor has not moved, because the handler has failed.
    FailsSlice(usize, usize),
    /// Releases a segment without work, because its page is handled.
    EndsPage(usize, usize),
    /// Forgets a segment whose lease has run out.
    Drops(usize, usize),
    /// A publisher has published a message for a segment.
    WorkComes(usize),
    /// A unit of time passes. Processes that are not suspended renew their leases.
    TimePasses,
    /// The process is suspended (`SIGSTOP`).
    IsSuspended(usize),
    /// The process continues (`SIGCONT`).
    Resumes(usize),
    /// The process is killed, and another starts.
    IsKilled(usize),
}

/// How the work on a segment ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Slice,
    Failure,
    Page,
}

impl Holding {
    fn polls(&self, state: &State, process: usize) -> Option<State> {
        let it = &state.processes[process];
        let idle = self.threads[process].saturating_sub(it.holds());
        let idle = match self.mechanisms.one_for_each_thread {
            true => idle,
            false if idle > 0 => self.segments,
            false => 0,
        };
        if idle == 0 || it.chosen != 0 {
            return None;
        }
        let mut order = it.order;
        if !self.mechanisms.longest_wait_first {
            order.sort_unstable();
        }
        let free = order.into_iter().filter(|segment| {
            let row = &state.rows[*segment];
            let is_own = row.owner == Some(Owner::Process(process));
            let is_free = row.is_free() || is_own && !self.mechanisms.own_is_not_free;
            *segment < self.segments && is_free && row.has_work
        });
        let chosen = free.take(idle).map(bit).sum();
        let mut next = *state;
        next.processes[process].chosen = chosen;
        (chosen != 0).then_some(next)
    }

    fn takes(&self, state: &State, process: usize, segment: usize) -> Option<State> {
        let it = &state.processes[process];
        let must_drop = it.known[segment] == Some(0);
        if it.chosen & bit(segment) == 0 || must_drop {
            return None;
        }
        let mut next = *state;
        next.processes[process].chosen &= !bit(segment);
        let row = &mut next.rows[segment];
        let is_own = row.owner == Some(Owner::Process(process));
        let is_free = row.is_free() || is_own && !self.mechanisms.own_is_not_free;
        if is_free || !self.mechanisms.take_compares {
            row.is_taken_by(process);
            next.processes[process].known[segment] = Some(LEASE);
            self.counts_passes(&mut next, segment);
        }
        Some(next)
    }

    fn takes_without_answer(&self, state: &State, process: usize, segment: usize) -> Option<State> {
        let mut next = self.takes(state, process, segment)?;
        next.left.losses = next.left.losses.checked_sub(1)?;
        let known = &mut next.processes[process].known[segment];
        let was_known = state.processes[process].known[segment];
        let is_taken = *known != was_known;
        *known = was_known;
        is_taken.then_some(next)
    }

    fn releases(&self, state: &State, [process, segment]: [usize; 2], end: End) -> Option<State> {
        let can_end = match end {
            End::Slice => true,
            End::Failure => self.slices_fail,
            End::Page => self.work_ends,
        };
        let known = state.processes[process].known[segment];
        if known.is_none() || self.never_ends == Some(segment) || !can_end {
            return None;
        }
        let mut next = *state;
        next.processes[process].known[segment] = None;
        if self.mechanisms.remembers_releases {
            next.is_released(process, segment);
        }
        if state.knows_latest(process, segment) {
            next.rows[segment].owner = None;
            next.rows[segment].lasts = 0;
            next.rows[segment].has_work = end != End::Page;
            if end != End::Failure {
                next.has_moved(segment);
            }
        }
        Some(next)
    }

    fn work_comes(&self, state: &State, segment: usize) -> Option<State> {
        let mut next = *state;
        next.rows[segment].has_work = true;
        (!state.rows[segment].has_work).then_some(next)
    }
}

impl Protocol for Holding {
    type State = State;
    type Step = Step;
    type Mechanisms = Mechanisms;

    const NAME: &'static str = "segments, holding";

    fn mechanisms(&mut self) -> &mut Mechanisms {
        &mut self.mechanisms
    }

    fn start(&self) -> State {
        self.initial()
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for process in (0..PROCESSES).filter(|it| self.threads[*it] > 0) {
            steps.push(Step::Polls(process));
            for segment in 0..self.segments {
                steps.extend(Self::at(process, segment));
            }
            steps.extend([Step::Resumes, Step::IsSuspended, Step::IsKilled].map(|it| it(process)));
        }
        steps.extend((0..self.segments).map(Step::WorkComes));
        steps.push(Step::TimePasses);
        steps
    }

    fn after(&self, state: &State, step: Step) -> Option<State> {
        if acting(step).is_some_and(|process| state.processes[process].is_suspended) {
            return None;
        }
        let next = match step {
            Step::Polls(process) => self.polls(state, process),
            Step::Takes(process, segment) => self.takes(state, process, segment),
            Step::TakesWithoutAnswer(process, segment) => {
                self.takes_without_answer(state, process, segment)
            }
            Step::EndsSlice(process, segment) => {
                self.releases(state, [process, segment], End::Slice)
            }
            Step::FailsSlice(process, segment) => {
                self.releases(state, [process, segment], End::Failure)
            }
            Step::EndsPage(process, segment) => self.releases(state, [process, segment], End::Page),
            Step::Drops(process, segment) => Self::drops(state, process, segment),
            Step::WorkComes(segment) => self.work_comes(state, segment),
            Step::TimePasses => self.time_passes(state),
            Step::IsSuspended(process) => Self::is_suspended(state, process),
            Step::Resumes(process) => Self::resumes(state, process),
            Step::IsKilled(process) => Self::is_killed(state, process),
        }?;
        Some(self.counts_polls(state, next, step))
    }

    fn properties(&self) -> Vec<Property<Checked<Self>>> {
        laws::properties(self)
    }
}

impl Progress for Holding {
    fn is_from_outside(&self, step: Step) -> bool {
        matches!(
            step,
            Step::TakesWithoutAnswer(..)
                | Step::WorkComes(_)
                | Step::IsSuspended(_)
                | Step::IsKilled(_)
        )
    }

    /// A process works on the watched segment, or the segment has no work.
    fn is_good(&self, state: &State) -> bool {
        let is_worked_on = (0..PROCESSES).any(|process| {
            let it = &state.processes[process];
            state.knows_latest(process, self.watched)
                && !it.is_suspended
                && it.holds() <= self.threads[process]
        });
        is_worked_on || !state.rows[self.watched].has_work
    }
}

/// Returns the process that must not be suspended for a step.
fn acting(step: Step) -> Option<usize> {
    match step {
        Step::Polls(process)
        | Step::Takes(process, _)
        | Step::TakesWithoutAnswer(process, _)
        | Step::EndsSlice(process, _)
        | Step::FailsSlice(process, _)
        | Step::EndsPage(process, _)
        | Step::Drops(process, _) => Some(process),
        _ => None,
    }
}
