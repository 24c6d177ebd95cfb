use stateright::Property;

use super::{Leases, Mechanisms, PROCESSES, State, laws};
use crate::check::{Checked, Protocol};

/// An action of one participant, during which no other participant acts. The numbers identify
/// processes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// `STATUS`, without the lease: `stored`, `check_holders`, `is_caught_up`. The same statement
    /// reads the first redriven message.
    Looks(usize),
    /// `TAKE`: `acquire`. If the lease is for a page, the same step reads the page.
    Takes(usize),
    /// BEGIN, and the touch: a write on the row under owner and epoch (`begin_work`).
    Begins(usize),
    /// The handler returns `Ok`.
    Handles(usize),
    /// The handler fails. Its transaction, if any, is rolled back.
    HandlerFails(usize),
    /// `STORE_AND_HOLD` or `STORE_AND_RELEASE`, for a transactional page in its transaction.
    StoresCursor(usize),
    /// COMMIT of a page.
    Commits(usize),
    /// `record_failure`: `RENEW` and the note, in a transaction.
    RecordsFailure(usize),
    /// `give_up`: `STORE_AND_RELEASE` and the note, in a transaction.
    GivesUp(usize),
    /// Only in controls: the second write of `give_up`.
    GivesUpRest(usize),
    /// `LIST` of redriven messages, under the lease.
    ReadsRedriven(usize),
    /// BEGIN, the touch, and `KEEP_REDRIVEN`: `handle_redriven` of a transactional handler.
    BeginsRedriven(usize),
    /// The handler returns `Ok` for a redriven message.
    HandlesRedriven(usize),
    /// COMMIT of a redriven message.
    CommitsRedriven(usize),
    /// Only in a control: `RENEW` before the note of a redriven message is taken.
    Renews(usize),
    /// `RENEW` and `TAKE_REDRIVEN`, in the transaction of a transactional handler, or in a
    /// transaction of their own after an external handler.
    TakesRedriven(usize),
    /// `record_failure` of a redriven message, which is parked again.
    ParksAgain(usize),
    /// `RELEASE`.
    Releases(usize),
    /// A lease expires.
    LeaseExpires,
    /// A process dies and restarts. Its lease expires later.
    Dies(usize),
    /// A connection is lost. A statement that was sent on it can arrive later.
    LosesConnection(usize),
    /// A statement that was sent on a lost connection arrives.
    LateArrives(usize),
    /// A statement that was sent on a lost connection never arrives. Its transaction is rolled
    /// back.
    LateIsLost(usize),
    /// `redrive`.
    OperatorRedrives,
    /// `reset`: `TAKE`.
    ResetTakesLease,
    /// `reset`: `RESET` to the start, and `FORGET_VOID`, in a transaction.
    ResetMovesCursor,
    /// From now on, a crash cannot undo the commits so far.
    DiskIsFlushed,
    /// The server crashes and restarts, without the commits that were not on the disk.
    ServerCrashes,
}

impl Protocol for Leases {
    type State = State;
    type Step = Step;
    type Mechanisms = Mechanisms;

    const NAME: &'static str = "lease";

    fn mechanisms(&mut self) -> &mut Mechanisms {
        &mut self.mechanisms
    }

    fn start(&self) -> State {
        self.initial()
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for process in 0..PROCESSES {
            steps.extend(
                [
                    Step::Looks,
                    Step::Takes,
                    Step::Begins,
                    Step::Handles,
                    Step::HandlerFails,
                    Step::StoresCursor,
                    Step::Commits,
                    Step::RecordsFailure,
                    Step::GivesUp,
                    Step::GivesUpRest,
                    Step::ReadsRedriven,
                    Step::BeginsRedriven,
                    Step::HandlesRedriven,
                    Step::CommitsRedriven,
                    Step::Renews,
                    Step::TakesRedriven,
                    Step::ParksAgain,
                    Step::Releases,
                    Step::Dies,
                    Step::LosesConnection,
                    Step::LateArrives,
                    Step::LateIsLost,
                ]
                .map(|step| step(process)),
            );
        }
        steps.extend([
            Step::LeaseExpires,
            Step::OperatorRedrives,
            Step::ResetTakesLease,
            Step::ResetMovesCursor,
            Step::DiskIsFlushed,
            Step::ServerCrashes,
        ]);
        steps
    }

    fn after(&self, state: &State, step: Step) -> Option<State> {
        match step {
            Step::Looks(process) => self.looks(state, process),
            Step::Takes(process) => self.takes(state, process),
            Step::Begins(process) => self.begins(state, process),
            Step::Handles(process) => self.handles(state, process),
            Step::HandlerFails(process) => self.handler_fails(state, process),
            Step::StoresCursor(process) => self.stores_cursor(state, process),
            Step::Commits(process) => self.commits(state, process),
            Step::RecordsFailure(process) => self.records_failure(state, process),
            Step::GivesUp(process) => self.gives_up(state, process),
            Step::GivesUpRest(process) => self.gives_up_rest(state, process),
            Step::ReadsRedriven(process) => self.reads_redriven(state, process),
            Step::BeginsRedriven(process) => self.begins_redriven(state, process),
            Step::HandlesRedriven(process) => self.handles_redriven(state, process),
            Step::CommitsRedriven(process) => self.commits_redriven(state, process),
            Step::Renews(process) => self.renews(state, process),
            Step::TakesRedriven(process) => self.takes_redriven(state, process),
            Step::ParksAgain(process) => self.parks_again(state, process),
            Step::Releases(process) => self.releases(state, process),
            Step::LeaseExpires => self.lease_expires(state),
            Step::Dies(process) => self.dies(state, process),
            Step::LosesConnection(process) => self.loses_connection(state, process),
            Step::LateArrives(process) => self.late_arrives(state, process),
            Step::LateIsLost(process) => self.late_is_lost(state, process),
            Step::OperatorRedrives => self.redrives(state),
            Step::ResetTakesLease => self.reset_takes_lease(state),
            Step::ResetMovesCursor => self.reset_moves_cursor(state),
            Step::DiskIsFlushed => self.disk_is_flushed(state),
            Step::ServerCrashes => self.server_crashes(state),
        }
    }

    fn properties(&self) -> Vec<Property<Checked<Self>>> {
        laws::properties(self)
    }
}
