//! The actions of a handler, and the state in which it leaves its transaction.

use super::library::Next;
use super::state::{Phase, Process, Returned, Run, State, bit, effect};
use super::{Asks, Deed, Page};

impl Page {
    /// Runs one of the handler's two statements with effects.
    pub(super) fn writes(&self, state: &State, process: usize) -> Option<State> {
        let Phase::Handles(run) = state.processes[process].phase else {
            return None;
        };
        if run.written == 2 || !self.may_write(state, process) {
            return None;
        }
        let mut next = *state;
        next.write(process, run.message, run.written == 1);
        next.processes[process].phase = Phase::Handles(Run {
            written: run.written + 1,
            ran_after: run.has_done,
            ..run
        });
        Some(next)
    }

    pub(super) fn does(&self, state: &State, process: usize, deed: Deed) -> Option<State> {
        let Phase::Handles(run) = state.processes[process].phase else {
            return None;
        };
        if run.written == 0 || !self.may_write(state, process) {
            return None;
        }
        let mut next = *state;
        next.left.deeds = next.left.deeds.checked_sub(1)?;
        next.history.guilty |= bit(run.message);
        let has_done = true;
        next.processes[process].phase = Phase::Handles(Run { has_done, ..run });
        self.do_deed(&mut next, process, deed);
        Some(next)
    }

    pub(super) fn returns(
        &self,
        state: &State,
        process: usize,
        returned: Returned,
    ) -> Option<State> {
        let Phase::Handles(run) = state.processes[process].phase else {
            return None;
        };
        if run.written == 0 {
            return None;
        }
        let mut next = *state;
        if returned == Returned::Error {
            next.left.errors = next.left.errors.checked_sub(1)?;
            next.history.guilty |= bit(run.message);
        }
        let it = next.processes[process];
        let is_intact = it.transaction.is_some_and(|it| it.is_intact());
        if returned == Returned::Error || !is_intact {
            next.history.misbehaved[usize::from(run.message)] += 1;
        }
        let is_last = run.message == it.search.end;
        let asks = match self.mechanisms.asks {
            Asks::AfterEach => run.has_done,
            Asks::AfterOk => run.has_done && returned == Returned::Ok,
            Asks::AfterLast => is_last && returned == Returned::Ok,
            Asks::Never => false,
        };
        if asks {
            next.processes[process].phase = Phase::Asks(run, returned);
            Some(next)
        } else {
            Some(self.goes_on(next, process, run, returned))
        }
    }

    /// A process dies or loses its lease. No other process knows of effects that its handler had
    /// outside of the transaction, unless the mark shows them.
    pub(super) fn forgets(&self, state: &mut State, process: usize) {
        let message = match state.processes[process].phase {
            Phase::Handles(run) | Phase::Asks(run, _) | Phase::LooksForMark(run, _) => run.message,
            Phase::NotesFinal { message, .. } => message,
            _ => return,
        };
        let effects = [false, true].map(|second| state.effects[effect(message, second)]);
        if !state.row.begun && effects != [0, 0] {
            state.history.unnoted |= bit(message);
        }
    }

    pub(super) fn dies(&self, state: &State, process: usize) -> Option<State> {
        if state.processes[process].phase == Phase::Idle {
            return None;
        }
        let mut next = *state;
        next.left.deaths = next.left.deaths.checked_sub(1)?;
        self.forgets(&mut next, process);
        next.roll_back(process);
        next.processes[process] = Process::NEW;
        // No process can take the lease before it expires, so it expires in this step.
        if next.row.holder == Some(process) {
            next.row.has_expired = true;
        }
        Some(next)
    }

    pub(super) fn lease_expires(&self, state: &State) -> Option<State> {
        if state.row.holder.is_none() || state.row.has_expired {
            return None;
        }
        let mut next = *state;
        next.left.expiries = next.left.expiries.checked_sub(1)?;
        next.row.has_expired = true;
        Some(next)
    }

    /// Continues after a handler has returned, without a question.
    fn goes_on(&self, mut next: State, process: usize, run: Run, returned: Returned) -> State {
        match returned {
            Returned::Ok => self.next_message(&mut next, process, run.message),
            Returned::Error => {
                next.roll_back(process);
                self.failed(&mut next, process, run.message, Next::Attempt);
            }
        }
        next
    }
}
