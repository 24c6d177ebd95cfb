//! The actions of a consumer's thread, from the lease to the cursor.

use super::state::{Note, Phase, State, Thread, bit};
use super::{Deaths, Step};

impl Deaths {
    /// `acquire`, which returns the note.
    pub(super) fn takes(&self, state: &State, process: usize, consumer: usize) -> Option<State> {
        let row = state.consumers[consumer];
        let owner = state.owner(process);
        let is_own = row.holder == Some(owner);
        let is_free = row.holder.is_none() || is_own || row.has_expired;
        let is_idle = state.processes[process].threads[consumer].phase == Phase::Idle;
        if !is_idle || !is_free || row.cursor == self.messages {
            return None;
        }
        let mut next = *state;
        let row = &mut next.consumers[consumer];
        row.holder = Some(owner);
        row.epoch += 1;
        row.has_expired = false;
        let thread = &mut next.processes[process].threads[consumer];
        *thread = Thread {
            phase: Phase::Notes,
            epoch: row.epoch,
            handled: row.cursor,
            suspect: 0,
            has_turn: thread.has_turn,
        };
        let counts = !is_own || !self.mechanisms.own_lease_is_no_death;
        match row.note {
            Note::Nothing => {}
            Note::Page(end) => {
                thread.suspect = end;
                if counts && !self.mechanisms.page_is_no_attempt {
                    thread.phase = Phase::RecordsAttempt;
                }
            }
            Note::Alone => {
                thread.suspect = row.cursor + 1;
                if counts {
                    thread.phase = Phase::RecordsAttempt;
                }
            }
        }
        Some(next)
    }

    /// Writes under the lease, if the thread still holds it, and renews it.
    fn under_lease(
        &self,
        state: &State,
        [process, consumer]: [usize; 2],
        write: impl FnOnce(&mut State),
    ) -> State {
        let mut next = *state;
        if state.holds_lease(process, consumer) {
            next.processes[process].threads[consumer].has_turn = false;
            next.consumers[consumer].has_expired = false;
            write(&mut next);
        } else {
            next.processes[process].threads[consumer] = Thread::IDLE;
        }
        next
    }

    /// `record_failure`. The message stays suspect, even if the process is killed now.
    pub(super) fn records_attempt(&self, state: &State, at: [usize; 2]) -> Option<State> {
        let [process, consumer] = at;
        let thread = state.processes[process].threads[consumer];
        (thread.phase == Phase::RecordsAttempt).then(|| {
            self.under_lease(state, at, |next| {
                let row = &mut next.consumers[consumer];
                let attempts = &mut row.attempts[usize::from(thread.handled)];
                *attempts += 1;
                row.note = Note::Page(thread.handled + 1);
                next.processes[process].threads[consumer].phase = if *attempts < self.attempts {
                    Phase::Notes
                } else {
                    Phase::GivesUp
                };
            })
        })
    }

    /// `give_up`.
    pub(super) fn gives_up(&self, state: &State, at: [usize; 2]) -> Option<State> {
        let [process, consumer] = at;
        let thread = state.processes[process].threads[consumer];
        (thread.phase == Phase::GivesUp).then(|| {
            self.under_lease(state, at, |next| {
                let row = &mut next.consumers[consumer];
                row.cursor = thread.handled + 1;
                row.given_up |= bit(row.cursor);
                row.note = Note::Nothing;
                row.holder = None;
                next.processes[process].threads[consumer] = Thread::IDLE;
            })
        })
    }

    /// Notes the messages that are handed out next. A suspicious thread waits until no other thread
    /// of the process hands messages out, and the other threads wait for it.
    pub(super) fn notes(&self, state: &State, at: [usize; 2]) -> Option<State> {
        let [process, consumer] = at;
        let threads = state.processes[process].threads;
        let thread = threads[consumer];
        let mut others = (0..self.consumers).filter(|other| *other != consumer);
        let has_to_wait = others.any(|other| {
            threads[other].has_turn || threads[other].hands_out() && thread.is_suspicious()
        });
        if thread.phase != Phase::Notes || has_to_wait && self.mechanisms.alone_in_process {
            return None;
        }
        let (end, note) = if thread.is_suspicious() {
            (thread.handled + 1, Note::Alone)
        } else {
            let end = self.messages.min(thread.handled + self.page_size);
            (end, Note::Page(end))
        };
        Some(self.under_lease(state, at, |next| {
            if self.mechanisms.note && self.mechanisms.note_first {
                next.consumers[consumer].note = note;
            }
            let thread = &mut next.processes[process].threads[consumer];
            thread.phase = Phase::Handles { end };
            thread.has_turn = note == Note::Alone;
        }))
    }

    /// Calls the handler, which ends the process if the message is deadly.
    pub(super) fn handles(&self, state: &State, at: [usize; 2]) -> Option<State> {
        let [process, consumer] = at;
        let thread = state.processes[process].threads[consumer];
        let Phase::Handles { end } = thread.phase else {
            return None;
        };
        let message = thread.handled + 1;
        if consumer == 0 && self.deadly == Some(message) {
            let mut next = self.process_ends(state, process);
            next.deaths += 1;
            return Some(next);
        }
        let mut next = *state;
        if self.mechanisms.note
            && !self.mechanisms.note_first
            && state.holds_lease(process, consumer)
        {
            next.consumers[consumer].note = match thread.is_suspicious() {
                true => Note::Alone,
                false => Note::Page(end),
            };
        }
        let thread = &mut next.processes[process].threads[consumer];
        thread.handled = message;
        if message == end {
            thread.phase = Phase::StoresCursor { end };
        }
        Some(next)
    }

    /// `store_cursor`, with a note of the messages that are still suspect. After the last message,
    /// this releases the lease.
    pub(super) fn stores_cursor(&self, state: &State, at: [usize; 2]) -> Option<State> {
        let [process, consumer] = at;
        let thread = state.processes[process].threads[consumer];
        let Phase::StoresCursor { end } = thread.phase else {
            return None;
        };
        Some(self.under_lease(state, at, |next| {
            let row = &mut next.consumers[consumer];
            row.cursor = end;
            if self.mechanisms.note_goes {
                row.note = match thread.is_suspicious() {
                    true => Note::Page(thread.suspect),
                    false => Note::Nothing,
                };
            }
            let thread = &mut next.processes[process].threads[consumer];
            if end == self.messages {
                row.holder = None;
                *thread = Thread::IDLE;
            } else {
                thread.phase = Phase::Notes;
            }
        }))
    }

    pub(super) fn loses_connection(&self, state: &State, at: [usize; 2]) -> Option<State> {
        let [process, consumer] = at;
        let mut next = *state;
        let thread = &mut next.processes[process].threads[consumer];
        if thread.phase == Phase::Idle {
            return None;
        }
        next.left.losses = next.left.losses.checked_sub(1)?;
        *thread = Thread {
            has_turn: thread.has_turn && self.mechanisms.turn_outlasts_connection,
            ..Thread::IDLE
        };
        Some(next)
    }

    /// Finds, with another connection, that another process has the lease, and so the note.
    pub(super) fn finds_lease_gone(&self, state: &State, at: [usize; 2]) -> Option<State> {
        let [process, consumer] = at;
        let thread = state.processes[process].threads[consumer];
        let is_gone = state.consumers[consumer].holder != Some(state.owner(process));
        if thread.phase != Phase::Idle || !thread.has_turn || !is_gone {
            return None;
        }
        let mut next = *state;
        next.processes[process].threads[consumer] = Thread::IDLE;
        Some(next)
    }

    pub(super) fn is_killed(&self, state: &State, process: usize) -> Option<State> {
        let mut next = self.process_ends(state, process);
        next.left.kills = next.left.kills.checked_sub(1)?;
        let mut threads = state.processes[process].threads.iter();
        let is_busy = threads.any(|thread| thread.phase != Phase::Idle);
        is_busy.then_some(next)
    }

    /// Ends a process and restarts it. No process can take its leases before they expire, so they
    /// expire in this step.
    fn process_ends(&self, state: &State, process: usize) -> State {
        let mut next = *state;
        for consumer in 0..self.consumers {
            self.is_unlucky(&mut next, [process, consumer]);
            let row = &mut next.consumers[consumer];
            row.has_expired |= row.holder == Some(state.owner(process));
        }
        next.processes[process].life += 1;
        next.processes[process].threads = [Thread::IDLE; super::CONSUMERS];
        next
    }

    pub(super) fn lease_expires(&self, state: &State, consumer: usize) -> Option<State> {
        let mut next = *state;
        next.left.expiries = next.left.expiries.checked_sub(1)?;
        let row = &mut next.consumers[consumer];
        let holder = row.holder.filter(|_| !row.has_expired)?;
        row.has_expired = true;
        self.is_unlucky(&mut next, [holder.process, consumer]);
        Some(next)
    }

    /// Records for the laws that a message was handed out alone.
    fn is_unlucky(&self, state: &mut State, [process, consumer]: [usize; 2]) {
        let thread = state.processes[process].threads[consumer];
        let before = state.consumers[consumer].cursor;
        let is_alone = state.consumers[consumer].note == Note::Alone;
        let is_own = state.consumers[consumer].holder == Some(state.owner(process));
        if is_alone && is_own && (thread.hands_out() || thread.has_turn) {
            state.consumers[consumer].unlucky[usize::from(before)] += 1;
        }
    }

    /// Returns the steps of a consumer's thread.
    pub(super) fn at(process: usize, consumer: usize) -> [Step; 8] {
        [
            Step::Takes,
            Step::RecordsAttempt,
            Step::GivesUp,
            Step::NotesWhatIsHandedOut,
            Step::Handles,
            Step::StoresCursor,
            Step::LosesConnection,
            Step::FindsLeaseGone,
        ]
        .map(|step| step(process, consumer))
    }
}
