use stateright::Property;

use super::{Deaths, Mechanisms, State, laws};
use crate::check::{Checked, Protocol};

/// An action of one participant, during which no other participant acts. The numbers identify a
/// process and a consumer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// `acquire`, which returns the note that the last holder left.
    Takes(usize, usize),
    /// `record_failure` of the message that was alone. The message stays suspect.
    RecordsAttempt(usize, usize),
    /// `give_up`: the cursor, the note of the failed message, and the lease.
    GivesUp(usize, usize),
    /// `NOTE_WORK`: UPDATE of the lease's row under owner and epoch, with the messages that are
    /// handed out next.
    NotesWhatIsHandedOut(usize, usize),
    /// The handler is called.
    Handles(usize, usize),
    /// `store_cursor`.
    StoresCursor(usize, usize),
    /// The thread's connection is lost; the process goes on.
    LosesConnection(usize, usize),
    /// With another connection, the thread reads the row, and finds that it has lost the lease.
    FindsLeaseGone(usize, usize),
    /// The process is killed from outside, and restarts.
    IsKilled(usize),
    /// The lease on a consumer expires, although its holder lives.
    LeaseExpires(usize),
}

impl Protocol for Deaths {
    type State = State;
    type Step = Step;
    type Mechanisms = Mechanisms;

    const NAME: &'static str = "deaths";

    fn mechanisms(&mut self) -> &mut Mechanisms {
        &mut self.mechanisms
    }

    fn start(&self) -> State {
        self.initial()
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for process in 0..self.processes {
            for consumer in 0..self.consumers {
                steps.extend(Self::at(process, consumer));
            }
            steps.push(Step::IsKilled(process));
        }
        steps.extend((0..self.consumers).map(Step::LeaseExpires));
        steps
    }

    fn after(&self, state: &State, step: Step) -> Option<State> {
        match step {
            Step::Takes(process, consumer) => self.takes(state, process, consumer),
            Step::RecordsAttempt(process, consumer) => {
                self.records_attempt(state, [process, consumer])
            }
            Step::GivesUp(process, consumer) => self.gives_up(state, [process, consumer]),
            Step::NotesWhatIsHandedOut(process, consumer) => self.notes(state, [process, consumer]),
            Step::Handles(process, consumer) => self.handles(state, [process, consumer]),
            Step::StoresCursor(process, consumer) => self.stores_cursor(state, [process, consumer]),
            Step::LosesConnection(process, consumer) => {
                self.loses_connection(state, [process, consumer])
            }
            Step::FindsLeaseGone(process, consumer) => {
                self.finds_lease_gone(state, [process, consumer])
            }
            Step::IsKilled(process) => self.is_killed(state, process),
            Step::LeaseExpires(consumer) => self.lease_expires(state, consumer),
        }
    }

    fn properties(&self) -> Vec<Property<Checked<Self>>> {
        laws::properties(self)
    }
}
