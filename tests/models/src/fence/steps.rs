use stateright::Property;

use super::{Fence, Mechanisms, PUBLISHERS, State, TOPICS, laws};
use crate::check::{Checked, Protocol};

/// An action of one participant, during which no other participant acts. The numbers identify
/// publishers or topics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// `INSERT ...` of a message begins: `current_setting(setting, true)` and, if its value is not
    /// `held`, `pg_sequence_last_value(id)`. Begins a transaction if none is open.
    Dispatches {
        /// The publisher.
        publisher: usize,
        /// The topic of the message.
        topic: usize,
    },
    /// `pg_advisory_xact_lock_shared(key)` and `set_config(setting, 'held', true)`.
    TakesLock(usize),
    /// `nextval`, when the row is made.
    DrawsPosition(usize),
    /// `SAVEPOINT`.
    SetsSavepoint(usize),
    /// `ROLLBACK TO SAVEPOINT`.
    RollsBackToSavepoint(usize),
    /// `COMMIT`.
    Commits(usize),
    /// `ROLLBACK`, or the connection is lost.
    RollsBack(usize),
    /// Only in a control: a transaction of the reader takes its snapshot.
    MakesSnapshot(usize),
    /// `EXISTS` in the statement of `high_water_mark_beyond`, in the snapshot of that statement,
    /// which is older than everything else that the statement reads.
    LooksForMessage(usize),
    /// `pg_sequence_last_value(seqrelid)` in the statement of `high_water_mark_beyond`.
    ReadsSequence(usize),
    /// `SELECT ... FROM pg_locks` in the same statement.
    LooksAtLocks(usize),
    /// `SELECT id ... WHERE id <= high_water_mark ORDER BY id DESC LIMIT 1`: `head`.
    ReadsHead(usize),
    /// `SELECT ... WHERE id > cursor AND id <= head`: `read_page`. The same step handles the page
    /// and stores the cursor.
    ReadsPage(usize),
    /// From now on, a crash cannot undo the commits so far.
    DiskIsFlushed,
    /// The server crashes and restarts, without the commits that were not on the disk.
    ServerCrashes {
        /// Whether the sequence is after the value that it had with these rows.
        sequence_is_ahead: bool,
    },
}

impl Protocol for Fence {
    type State = State;
    type Step = Step;
    type Mechanisms = Mechanisms;

    const NAME: &'static str = "fence";

    fn mechanisms(&mut self) -> &mut Mechanisms {
        &mut self.mechanisms
    }

    fn start(&self) -> State {
        self.initial()
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for publisher in 0..PUBLISHERS {
            let topics = (0..TOPICS).filter(|topic| self.publishers[publisher].topics[*topic]);
            steps.extend(topics.map(|topic| Step::Dispatches { publisher, topic }));
            steps.extend(
                [
                    Step::TakesLock,
                    Step::DrawsPosition,
                    Step::SetsSavepoint,
                    Step::RollsBackToSavepoint,
                    Step::Commits,
                    Step::RollsBack,
                ]
                .map(|step| step(publisher)),
            );
        }
        for topic in (0..TOPICS).filter(|topic| self.read[*topic]) {
            steps.extend(
                [
                    Step::MakesSnapshot,
                    Step::LooksForMessage,
                    Step::ReadsSequence,
                    Step::LooksAtLocks,
                    Step::ReadsHead,
                    Step::ReadsPage,
                ]
                .map(|step| step(topic)),
            );
        }
        steps.push(Step::DiskIsFlushed);
        steps.extend(
            [false, true].map(|sequence_is_ahead| Step::ServerCrashes { sequence_is_ahead }),
        );
        steps
    }

    fn after(&self, state: &State, step: Step) -> Option<State> {
        match step {
            Step::Dispatches { publisher, topic } => self.dispatches(state, publisher, topic),
            Step::TakesLock(publisher) => self.takes_lock(state, publisher),
            Step::DrawsPosition(publisher) => self.draws_position(state, publisher),
            Step::SetsSavepoint(publisher) => self.sets_savepoint(state, publisher),
            Step::RollsBackToSavepoint(publisher) => self.rolls_back_to_savepoint(state, publisher),
            Step::Commits(publisher) => self.commits(state, publisher),
            Step::RollsBack(publisher) => self.rolls_back(state, publisher),
            Step::MakesSnapshot(topic) => self.makes_snapshot(state, topic),
            Step::LooksForMessage(topic) => self.looks_for_message(state, topic),
            Step::ReadsSequence(topic) => self.reads_sequence(state, topic),
            Step::LooksAtLocks(topic) => self.looks_at_locks(state, topic),
            Step::ReadsHead(topic) => self.reads_head(state, topic),
            Step::ReadsPage(topic) => self.reads_page(state, topic),
            Step::DiskIsFlushed => self.disk_is_flushed(state),
            Step::ServerCrashes { sequence_is_ahead } => {
                self.server_crashes(state, sequence_is_ahead)
            }
        }
    }

    fn properties(&self) -> Vec<Property<Checked<Self>>> {
        laws::properties(self)
    }
}

impl Fence {
    fn disk_is_flushed(&self, state: &State) -> Option<State> {
        let is_of_use = state.crashes < self.crashes && state.on_disk != state.database;
        is_of_use.then_some(State {
            on_disk: state.database,
            ..*state
        })
    }

    fn server_crashes(&self, state: &State, sequence_is_ahead: bool) -> Option<State> {
        if state.crashes == self.crashes {
            return None;
        }
        let mut next = State {
            database: state.on_disk,
            crashes: state.crashes + 1,
            ..*state
        };
        next.database.last = next
            .database
            .last
            .map(|last| last + u8::from(sequence_is_ahead));
        next.on_disk = next.database;
        // All connections are lost.
        for topic in 0..TOPICS {
            next.readers[topic] = super::state::Reader::RESTING;
        }
        for publisher in 0..PUBLISHERS {
            if state.publishers[publisher].transaction.is_open {
                next = self.ends(&next, publisher);
            }
        }
        Some(next)
    }
}
