use stateright::Property;

use super::{Handler, Handling, Mechanisms, PROCESSES, State, laws};
use crate::check::{Checked, Protocol};
use crate::progress::Progress;

/// An action of one participant, during which no other participant acts. The numbers identify a
/// process and a segment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// A poll reads the head.
    BeginsPoll(usize),
    /// A poll reads the header.
    EndsPoll(usize),
    /// `TAKE`.
    Takes(usize, usize),
    /// `TAKE`, whose answer is late.
    TakesSlowly(usize, usize),
    /// The late answer arrives.
    TakeIsAnswered(usize, usize),
    /// The coordinator checks the lease, and hands a message to a thread.
    HandsOut(usize, usize),
    /// The thread calls the external handler, or begins the transaction with the cursor.
    Begins(usize, usize),
    /// The external handler returns.
    Ends(usize, usize),
    /// The thread extends the lease, and commits the effects with the cursor.
    Commits(usize, usize),
    /// `STORE_AND_HOLD`.
    Stores(usize, usize),
    /// `STORE_AND_RELEASE`.
    Releases(usize, usize),
    /// The process forgets a segment whose lease has run out.
    Drops(usize, usize),
    /// The connection is lost while `TAKE` is on its way.
    LosesTake(usize, usize),
    /// The connection is lost while `STORE_AND_HOLD` is on its way.
    LosesStore(usize, usize),
    /// The connection is lost while `STORE_AND_RELEASE` is on its way.
    LosesRelease(usize, usize),
    /// The connection is lost while COMMIT is on its way.
    LosesCommit(usize, usize),
    /// The statement on the lost connection arrives.
    LateArrives(usize),
    /// The statement on the lost connection never arrives.
    LateIsGone(usize),
    /// Renews the leases. The answer is late.
    RenewsSlowly(usize),
    /// The late answer arrives.
    RenewalIsAnswered(usize),
    /// A process sees a cursor after `stop_at`, and raises `stop_at`.
    RaisesStop,
    /// A process replaces the rows.
    Replaces(usize),
    /// Only in controls: a process checks or deletes the rows, and replaces them later.
    PreparesReplacing,
    /// A unit of time passes. Processes that are not suspended renew their leases.
    TimePasses,
    /// A publisher's message becomes visible.
    IsPublished,
    /// The operator resets the consumer to the start.
    OperatorResets,
    /// The operator reads the position for `stop_at`.
    OperatorReads,
    /// The operator writes the target and `stop_at`.
    OperatorSetsTarget,
    /// The process is suspended (`SIGSTOP`).
    IsSuspended(usize),
    /// The process continues (`SIGCONT`).
    Resumes(usize),
    /// The process is killed, and another starts.
    IsKilled(usize),
}

impl Protocol for Handling {
    type State = State;
    type Step = Step;
    type Mechanisms = Mechanisms;

    const NAME: &'static str = "segments, handling";

    fn mechanisms(&mut self) -> &mut Mechanisms {
        &mut self.mechanisms
    }

    fn start(&self) -> State {
        self.initial()
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let segments = self.most_segments();
        for process in (0..PROCESSES).filter(|it| self.threads[*it] > 0) {
            for segment in 0..segments {
                steps.extend(OF_SEGMENT.map(|step| step(process, segment)));
            }
            steps.extend(OF_PROCESS.map(|step| step(process)));
        }
        steps.extend([Step::RaisesStop, Step::PreparesReplacing]);
        steps.extend([Step::TimePasses, Step::IsPublished, Step::OperatorResets]);
        steps.extend([Step::OperatorReads, Step::OperatorSetsTarget]);
        steps.retain(|step| self.is_possible(*step));
        steps
    }

    fn after(&self, state: &State, step: Step) -> Option<State> {
        if acting(step).is_some_and(|process| state.processes[process].is_suspended) {
            return None;
        }
        match step {
            Step::BeginsPoll(process) => self.begins_poll(state, process),
            Step::EndsPoll(process) => self.ends_poll(state, process),
            Step::Takes(process, segment) => self.takes(state, process, segment),
            Step::TakesSlowly(process, segment) => self.takes_slowly(state, [process, segment]),
            Step::TakeIsAnswered(process, segment) => {
                self.take_is_answered(state, [process, segment])
            }
            Step::HandsOut(process, segment) => {
                let next = self.hands_out(state, [process, segment]);
                next.filter(|_| self.hands_out_apart)
            }
            Step::Begins(process, segment) => self.begins(state, [process, segment]),
            Step::Ends(process, segment) => self.ends(state, [process, segment]),
            Step::Commits(process, segment) => self.commits(state, [process, segment]),
            Step::Stores(process, segment) => self.stores(state, [process, segment], false),
            Step::Releases(process, segment) => self.stores(state, [process, segment], true),
            Step::Drops(process, segment) => self.drops(state, [process, segment]),
            Step::LosesTake(process, segment) => self.loses_take(state, [process, segment]),
            Step::LosesStore(process, segment) => {
                self.loses_store(state, [process, segment], false)
            }
            Step::LosesRelease(process, segment) => {
                self.loses_store(state, [process, segment], true)
            }
            Step::LosesCommit(process, segment) => self.loses_commit(state, [process, segment]),
            Step::LateArrives(process) => self.late_arrives(state, process),
            Step::LateIsGone(process) => self.late_is_gone(state, process),
            Step::RenewsSlowly(process) => self.renews_slowly(state, process),
            Step::RenewalIsAnswered(process) => self.renewal_is_answered(state, process),
            Step::RaisesStop => self.raises_stop(state),
            Step::Replaces(process) => self.replaces(state, process),
            Step::PreparesReplacing => self.prepares_replacing(state),
            Step::TimePasses => self.time_passes(state),
            Step::IsPublished => self.is_published(state),
            Step::OperatorResets => self.resets(state),
            Step::OperatorReads => self.reads_stop(state),
            Step::OperatorSetsTarget => self.sets_target(state),
            Step::IsSuspended(process) => self.is_suspended(state, process),
            Step::Resumes(process) => self.resumes(state, process),
            Step::IsKilled(process) => self.is_killed(state, process),
        }
    }

    fn properties(&self) -> Vec<Property<Checked<Self>>> {
        laws::properties(self)
    }
}

impl Handling {
    fn most_segments(&self) -> usize {
        let segments = self.resizes.iter().chain([&self.segments]);
        segments.copied().max().unwrap_or(0)
    }

    /// Returns `false` for steps that the bounds exclude, so that they are not tried in each state.
    fn is_possible(&self, step: Step) -> bool {
        match step {
            Step::BeginsPoll(_) | Step::EndsPoll(_) => self.polls(),
            Step::HandsOut(..) => self.hands_out_apart,
            Step::Ends(..) => self.handler == Handler::External,
            Step::Commits(..) => self.handler == Handler::Transactional,
            Step::TakesSlowly(..)
            | Step::TakeIsAnswered(..)
            | Step::RenewsSlowly(_)
            | Step::RenewalIsAnswered(_) => self.delays > 0,
            Step::LosesTake(..)
            | Step::LosesStore(..)
            | Step::LosesRelease(..)
            | Step::LosesCommit(..)
            | Step::LateArrives(_)
            | Step::LateIsGone(_) => self.losses > 0,
            Step::RaisesStop
            | Step::Replaces(_)
            | Step::PreparesReplacing
            | Step::OperatorReads
            | Step::OperatorSetsTarget => !self.resizes.is_empty(),
            Step::IsPublished => self.published < self.messages,
            Step::OperatorResets => self.resets > 0,
            Step::IsSuspended(_) | Step::Resumes(_) => self.suspensions > 0,
            Step::IsKilled(_) => self.kills > 0,
            Step::Takes(..)
            | Step::Begins(..)
            | Step::Stores(..)
            | Step::Releases(..)
            | Step::Drops(..)
            | Step::TimePasses => true,
        }
    }

    fn is_published(&self, state: &State) -> Option<State> {
        let mut next = *state;
        next.published += 1;
        (state.published < self.messages).then_some(next)
    }
}

impl Progress for Handling {
    fn is_from_outside(&self, step: Step) -> bool {
        matches!(
            step,
            Step::TakesSlowly(..)
                | Step::LosesTake(..)
                | Step::LosesStore(..)
                | Step::LosesRelease(..)
                | Step::LosesCommit(..)
                | Step::RenewsSlowly(_)
                | Step::IsPublished
                | Step::OperatorResets
                | Step::OperatorReads
                | Step::IsSuspended(_)
                | Step::IsKilled(_)
        )
    }

    /// All messages are handled, and no change of the segments is unfinished. A segment whose
    /// handler does not return is excepted.
    fn is_good(&self, state: &State) -> bool {
        let excepted = self.never_ends.map_or(0, |message| self.slot(message));
        let mut segments = state.segments().filter(|row| row.slots & excepted == 0);
        state.header.target.is_none() && segments.all(|row| row.cursor == state.published)
    }

    /// A segment needs a take, and another one if it is replaced.
    fn is_judged(&self, state: &State) -> bool {
        let takes = match self.resizes.is_empty() {
            true => self.most_segments().max(2),
            false => 2 * self.most_segments(),
        };
        usize::from(state.left.takes) >= takes
    }
}

/// The steps of a process on a segment.
const OF_SEGMENT: [fn(usize, usize) -> Step; 14] = [
    Step::Takes,
    Step::HandsOut,
    Step::Begins,
    Step::Ends,
    Step::Commits,
    Step::Stores,
    Step::Releases,
    Step::Drops,
    Step::TakesSlowly,
    Step::TakeIsAnswered,
    Step::LosesTake,
    Step::LosesStore,
    Step::LosesRelease,
    Step::LosesCommit,
];

/// The steps of a process.
const OF_PROCESS: [fn(usize) -> Step; 10] = [
    Step::BeginsPoll,
    Step::EndsPoll,
    Step::Replaces,
    Step::LateArrives,
    Step::LateIsGone,
    Step::RenewsSlowly,
    Step::RenewalIsAnswered,
    Step::Resumes,
    Step::IsSuspended,
    Step::IsKilled,
];

/// Returns the process that must not be suspended for a step.
fn acting(step: Step) -> Option<usize> {
    match step {
        Step::BeginsPoll(process)
        | Step::EndsPoll(process)
        | Step::Replaces(process)
        | Step::Takes(process, _)
        | Step::TakesSlowly(process, _)
        | Step::TakeIsAnswered(process, _)
        | Step::HandsOut(process, _)
        | Step::Begins(process, _)
        | Step::Ends(process, _)
        | Step::Commits(process, _)
        | Step::Stores(process, _)
        | Step::Releases(process, _)
        | Step::Drops(process, _)
        | Step::LosesTake(process, _)
        | Step::LosesStore(process, _)
        | Step::LosesRelease(process, _)
        | Step::LosesCommit(process, _)
        | Step::RenewsSlowly(process)
        | Step::RenewalIsAnswered(process) => Some(process),
        _ => None,
    }
}
