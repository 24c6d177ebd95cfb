use stateright::Property;

use super::state::Returned;
use super::{Deed, Mechanisms, Page, State, laws};
use crate::check::{Checked, Protocol};

/// An action of one participant, during which no other participant acts. The numbers identify
/// processes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// The process takes the lease, reads the page and hands it out: `acquire`, `read_page`,
    /// `hand_out`.
    Takes(usize),
    /// BEGIN, and the touch: UPDATE of the lease's row under owner and epoch, with the mark
    /// (`begin_work`). The handler of the first message is called, or the hook.
    Begins(usize),
    /// The handler runs one of its statements with effects. There are one or two.
    Writes(usize),
    /// The handler does something to its transaction.
    Does(usize, Deed),
    /// The handler returns `Ok`.
    ReturnsOk(usize),
    /// The handler returns an error.
    ReturnsError(usize),
    /// `state_of`. ROLLBACK follows if the transaction is not the one that was begun, or if the
    /// handler has failed.
    AsksWhetherIntact(usize),
    /// SELECT of the lease's row, after the transaction has ended: `was_committed`.
    LooksForMark(usize),
    /// UPDATE of the cursor under owner and epoch, in the transaction that was begun.
    MovesCursor(usize),
    /// COMMIT.
    Commits(usize),
    /// COMMIT fails, and always will.
    CommitFails(usize),
    /// The connection is lost at COMMIT.
    LosesConnection {
        /// The process of the connection.
        process: usize,
        /// Whether the COMMIT arrived.
        arrived: bool,
    },
    /// Only in controls: stores the cursor before a message whose effects are final, without the
    /// note.
    StoresCursor(usize),
    /// Notes that effects of a message are final: `note_final`. If the messages before it were
    /// committed, this stores the cursor before the message, too.
    NotesFinal(usize),
    /// `record_failure`.
    RecordsFailure(usize),
    /// `give_up`: the cursor and the note.
    GivesUp(usize),
    /// UPDATE of the cursor to the start under owner and epoch, for a hook that was committed
    /// early: `leave_start`.
    CountsHook(usize),
    /// The process dies. Its lease expires later.
    Dies(usize),
    /// The lease of a living process expires.
    LeaseExpires,
}

impl Protocol for Page {
    type State = State;
    type Step = Step;
    type Mechanisms = Mechanisms;

    const NAME: &'static str = "transaction";

    fn mechanisms(&mut self) -> &mut Mechanisms {
        &mut self.mechanisms
    }

    fn start(&self) -> State {
        self.initial()
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for process in 0..self.processes {
            steps.extend([Step::Takes, Step::Begins, Step::Writes].map(|step| step(process)));
            steps.extend(self.deeds.iter().map(|deed| Step::Does(process, *deed)));
            steps.extend(
                [
                    Step::ReturnsOk,
                    Step::ReturnsError,
                    Step::AsksWhetherIntact,
                    Step::LooksForMark,
                    Step::MovesCursor,
                    Step::Commits,
                    Step::CommitFails,
                    Step::StoresCursor,
                    Step::NotesFinal,
                    Step::RecordsFailure,
                    Step::GivesUp,
                    Step::CountsHook,
                    Step::Dies,
                ]
                .map(|step| step(process)),
            );
            steps.extend([false, true].map(|arrived| Step::LosesConnection { process, arrived }));
        }
        steps.push(Step::LeaseExpires);
        steps
    }

    fn after(&self, state: &State, step: Step) -> Option<State> {
        match step {
            Step::Takes(process) => self.takes(state, process),
            Step::Begins(process) => self.begins(state, process),
            Step::Writes(process) => self.writes(state, process),
            Step::Does(process, deed) => self.does(state, process, deed),
            Step::ReturnsOk(process) => self.returns(state, process, Returned::Ok),
            Step::ReturnsError(process) => self.returns(state, process, Returned::Error),
            Step::AsksWhetherIntact(process) => self.asks(state, process),
            Step::LooksForMark(process) => self.looks_for_mark(state, process),
            Step::MovesCursor(process) => self.moves_cursor(state, process),
            Step::Commits(process) => self.commits(state, process),
            Step::CommitFails(process) => self.commit_fails(state, process),
            Step::LosesConnection { process, arrived } => {
                self.loses_connection(state, process, arrived)
            }
            Step::StoresCursor(process) => self.stores_cursor(state, process),
            Step::NotesFinal(process) => self.notes_final(state, process),
            Step::RecordsFailure(process) => self.records_failure(state, process),
            Step::GivesUp(process) => self.gives_up(state, process),
            Step::CountsHook(process) => self.counts_hook(state, process),
            Step::Dies(process) => self.dies(state, process),
            Step::LeaseExpires => self.lease_expires(state),
        }
    }

    fn properties(&self) -> Vec<Property<Checked<Self>>> {
        laws::properties(self)
    }
}
