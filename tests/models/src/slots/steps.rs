use stateright::Property;

use super::publisher::ends;
use super::{Mechanisms, PUBLISHERS, Slots, State, laws};
use crate::check::{Checked, Protocol};
use crate::positions::highest;

/// An action of one participant, during which no other participant acts. The numbers identify
/// publishers or readers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// `SELECT ... FOR UPDATE SKIP LOCKED`: `lock_free`. Or the end of a wait: `wait_for_slot`.
    /// Begins a transaction if none is open.
    LocksFreeSlot {
        /// The publisher.
        publisher: usize,
        /// The slot that it finds.
        slot: usize,
    },
    /// `INSERT IGNORE INTO message_publisher_slots ...` in the transaction: `create`.
    InsertsSlots(usize),
    /// `INSERT INTO public_messages ...`: auto-increment.
    DrawsPosition(usize),
    /// `COMMIT`.
    Commits(usize),
    /// `ROLLBACK`, or the connection is lost.
    RollsBack(usize),
    /// Only in a control: a transaction of the reader takes its snapshot.
    MakesSnapshot(usize),
    /// `SELECT coalesce(max(id), 0), ...`: `Last::read`.
    ReadsLast(usize),
    /// `SELECT slot ... LOCK IN SHARE MODE SKIP LOCKED` reads the next row: `free`. After the last
    /// row, `SlotObservations::look`.
    LooksAtSlot(usize),
    /// `create_without_waiting`.
    ReaderInsertsSlots(usize),
    /// `SELECT id ... WHERE id <= high_water_mark ORDER BY id DESC LIMIT 1`: `head`.
    ReadsHead(usize),
    /// `SELECT ... WHERE id > cursor AND id <= head`: `read_page`. The same step handles the page
    /// and stores the cursor.
    ReadsPage(usize),
    /// The process of a reader restarts, and loses its observations.
    ReaderRestarts(usize),
    /// From now on, a crash cannot undo the commits so far.
    LogIsFlushed,
    /// The server crashes and restarts, without the commits that were not on the disk.
    ServerCrashes {
        /// Whether the server hands out again the positions after the last row.
        positions_are_reused: bool,
    },
}

impl Protocol for Slots {
    type State = State;
    type Step = Step;
    type Mechanisms = Mechanisms;

    const NAME: &'static str = "slots";

    fn mechanisms(&mut self) -> &mut Mechanisms {
        &mut self.mechanisms
    }

    fn start(&self) -> State {
        self.initial()
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for publisher in 0..PUBLISHERS {
            steps.extend((0..self.slots).map(|slot| Step::LocksFreeSlot { publisher, slot }));
            steps.extend(
                [
                    Step::InsertsSlots,
                    Step::DrawsPosition,
                    Step::Commits,
                    Step::RollsBack,
                ]
                .map(|step| step(publisher)),
            );
        }
        for reader in 0..self.readers {
            steps.extend(
                [
                    Step::MakesSnapshot,
                    Step::ReadsLast,
                    Step::LooksAtSlot,
                    Step::ReaderInsertsSlots,
                    Step::ReadsHead,
                    Step::ReadsPage,
                    Step::ReaderRestarts,
                ]
                .map(|step| step(reader)),
            );
        }
        steps.push(Step::LogIsFlushed);
        steps.extend(
            [false, true].map(|positions_are_reused| Step::ServerCrashes {
                positions_are_reused,
            }),
        );
        steps
    }

    fn after(&self, state: &State, step: Step) -> Option<State> {
        match step {
            Step::LocksFreeSlot { publisher, slot } => self.locks_free_slot(state, publisher, slot),
            Step::InsertsSlots(publisher) => self.inserts_slots(state, publisher),
            Step::DrawsPosition(publisher) => self.draws_position(state, publisher),
            Step::Commits(publisher) => self.commits(state, publisher),
            Step::RollsBack(publisher) => self.rolls_back(state, publisher),
            Step::MakesSnapshot(reader) => self.makes_snapshot(state, reader),
            Step::ReadsLast(reader) => self.reads_last(state, reader),
            Step::LooksAtSlot(reader) => self.looks_at_slot(state, reader),
            Step::ReaderInsertsSlots(reader) => self.reader_inserts_slots(state, reader),
            Step::ReadsHead(reader) => self.reads_head(state, reader),
            Step::ReadsPage(reader) => self.reads_page(state, reader),
            Step::ReaderRestarts(reader) => self.reader_restarts(state, reader),
            Step::LogIsFlushed => self.log_is_flushed(state),
            Step::ServerCrashes {
                positions_are_reused,
            } => self.server_crashes(state, positions_are_reused),
        }
    }

    fn properties(&self) -> Vec<Property<Checked<Self>>> {
        laws::properties(self)
    }
}

impl Slots {
    fn log_is_flushed(&self, state: &State) -> Option<State> {
        let is_of_use = state.run < self.crashes && state.on_disk != state.database;
        is_of_use.then_some(State {
            on_disk: state.database,
            ..*state
        })
    }

    fn server_crashes(&self, state: &State, positions_are_reused: bool) -> Option<State> {
        if state.run == self.crashes {
            return None;
        }
        let mut database = state.on_disk;
        let last = highest(database.committed | database.committed_elsewhere);
        if positions_are_reused {
            database.drawn = last;
        }
        let mut next = State {
            database,
            on_disk: database,
            run: state.run + 1,
            ..*state
        };
        // All connections are lost, but the readers' processes keep running.
        for reader in &mut next.readers {
            reader.rests();
        }
        for publisher in 0..PUBLISHERS {
            if state.publishers[publisher].is_open {
                next = ends(&next, publisher);
            }
        }
        Some(next)
    }
}
