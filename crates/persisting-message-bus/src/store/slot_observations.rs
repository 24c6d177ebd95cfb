use std::collections::BTreeMap;
use std::ops::Range;

use crate::position::Position;

/// The reader's memory of the publishers of one topic, kept from one poll to the next.
///
/// Some backends let each publisher hold one of several *slots* while it is in flight. A reader
/// sees which slots are free, but not since when the other slots are held. Other backends leave the
/// memory empty.
#[derive(Debug, Clone, Default)]
pub struct SlotObservations {
    /// By slot, the position up to which the slot's present holder cannot commit anything.
    free_at: BTreeMap<i64, Position>,
    last: Position,
    /// Identifies the table, the server, and the run of the server.
    source: String,
    /// Whether a slot was held that had never been seen free.
    incomplete: bool,
}

impl SlotObservations {
    /// Records which slots were free after publishers had drawn all positions up to `last`. Returns
    /// the position up to which no publisher can still commit a message.
    ///
    /// A publisher that holds a slot took it after the slot was last seen free, and drew its
    /// positions after that. A slot that is not free now therefore holds the reader at the position
    /// of that observation. If the slot was never seen free, it holds the reader at the start.
    ///
    /// Observations of another `source` are forgotten. The name of a source must distinguish
    /// servers, databases and tables, and also one run of a server from the next. A server that
    /// restarts may have forgotten its last commits, so publishers draw their positions a second
    /// time. Within one run, the name must be the same on all connections, because a reader can use
    /// another connection for each poll.
    pub fn look(
        &mut self,
        source: &str,
        last: Position,
        slots: Range<i64>,
        free: impl IntoIterator<Item = i64>,
    ) -> Position {
        // Positions go back if a dump is restored while the server runs.
        if source != self.source || last < self.last {
            self.free_at.clear();
            source.clone_into(&mut self.source);
        }
        self.last = last;
        self.free_at
            .extend(free.into_iter().map(|slot| (slot, last)));
        let seen = slots.map(|slot| self.free_at.get(&slot).copied());
        let high_water_mark = seen.min().flatten();
        self.incomplete = high_water_mark.is_none();
        high_water_mark.unwrap_or_default()
    }

    /// Returns `true` if every slot that was not free at the last call of `look` had been seen free
    /// before.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.incomplete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(position: i64) -> Position {
        Position::new(position)
    }

    #[test]
    fn what_was_never_seen_free_holds_the_reader_at_the_start() {
        let mut observations = SlotObservations::default();
        assert_eq!(
            observations.look("here", position(7), 0..3, [0, 2]),
            Position::START
        );
        assert!(!observations.is_complete());
        assert_eq!(
            observations.look("here", position(9), 0..3, [1]),
            position(7)
        );
        assert!(observations.is_complete());
    }

    #[test]
    fn a_slot_that_stays_held_holds_the_reader_where_it_was_last_free() {
        let mut observations = SlotObservations::default();
        assert_eq!(
            observations.look("here", position(5), 0..2, [0, 1]),
            position(5)
        );
        assert_eq!(
            observations.look("here", position(8), 0..2, [0]),
            position(5)
        );
        assert_eq!(
            observations.look("here", position(11), 0..2, [0]),
            position(5)
        );
        assert_eq!(
            observations.look("here", position(12), 0..2, [1]),
            position(11)
        );
        assert_eq!(
            observations.look("here", position(13), 0..2, [0, 1]),
            position(13)
        );
    }

    #[test]
    fn what_was_seen_elsewhere_is_forgotten() {
        let mut observations = SlotObservations::default();
        assert_eq!(
            observations.look("here", position(5), 0..2, [0, 1]),
            position(5)
        );
        assert_eq!(
            observations.look("there", position(9), 0..2, [0]),
            Position::START
        );
        assert!(!observations.is_complete());
    }

    /// A server has forgotten its last commits, so a publisher draws position 4 a second time. Later
    /// positions exceed the last position of the server's previous run.
    #[test]
    fn what_was_seen_before_the_server_started_again_is_forgotten() {
        let mut observations = SlotObservations::default();
        let (first, second) = ("here, since noon", "here, since one o'clock");
        assert_eq!(
            observations.look(first, position(5), 0..2, [0, 1]),
            position(5)
        );
        // The publisher that drew 4 holds slot 1.
        assert_eq!(
            observations.look(second, position(7), 0..2, [0]),
            Position::START
        );
        assert_eq!(
            observations.look(second, position(7), 0..2, [1]),
            position(7)
        );
    }

    #[test]
    fn positions_that_go_back_are_those_of_another_database() {
        let mut observations = SlotObservations::default();
        assert_eq!(
            observations.look("here", position(50), 0..2, [0, 1]),
            position(50)
        );
        assert_eq!(
            observations.look("here", position(3), 0..2, [0]),
            Position::START
        );
        assert!(!observations.is_complete());
    }
}
