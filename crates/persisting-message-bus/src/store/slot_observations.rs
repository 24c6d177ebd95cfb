use std::collections::BTreeMap;
use std::ops::Range;

use uuid::Uuid;

use crate::position::Position;
use crate::store::place::MessageAt;

/// The reader's memory of the publishers of one topic, kept from one poll to the next.
///
/// Some backends let each publisher hold one of several *slots* while it is in flight. A reader
/// sees which slots are free, but not since when the other slots are held. Other backends leave the
/// memory empty.
#[derive(Debug, Clone, Default)]
pub struct SlotObservations {
    /// By slot, the position up to which the slot's present holder cannot commit anything.
    free_at: BTreeMap<i64, Position>,
    last: MessageAt,
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
    /// `last` is the last position, with the id of the message there. `id_before` is the id that is
    /// now at the last position of the former call ([`last`](Self::last)). If it is another one, the
    /// table was emptied since, and positions are assigned a second time.
    ///
    /// Observations of another `source` are forgotten. The name of a source must distinguish
    /// servers, databases and tables, and also one run of a server from the next. A server that
    /// restarts may have forgotten its last commits, so publishers draw their positions a second
    /// time. Within one run, the name must be the same on all connections, because a reader can use
    /// another connection for each poll.
    pub fn look(
        &mut self,
        source: &str,
        last: MessageAt,
        id_before: Option<Uuid>,
        slots: Range<i64>,
        free: impl IntoIterator<Item = i64>,
    ) -> Position {
        // Positions go back if a dump is restored while the server runs.
        let was_emptied = id_before != self.last.message_id;
        if source != self.source || last.position < self.last.position || was_emptied {
            self.free_at.clear();
            source.clone_into(&mut self.source);
        }
        self.last = last;
        self.free_at
            .extend(free.into_iter().map(|slot| (slot, last.position)));
        let seen = slots.map(|slot| self.free_at.get(&slot).copied());
        let high_water_mark = seen.min().flatten();
        self.incomplete = high_water_mark.is_none();
        high_water_mark.unwrap_or_default()
    }

    /// Returns the last position of the former call, and the id of the message there.
    #[must_use]
    pub fn last(&self) -> MessageAt {
        self.last
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

    fn look<const N: usize>(
        observations: &mut SlotObservations,
        source: &str,
        last: i64,
        slots: Range<i64>,
        free: [i64; N],
    ) -> Position {
        let last = MessageAt {
            position: position(last),
            message_id: None,
        };
        observations.look(source, last, None, slots, free)
    }

    #[test]
    fn what_was_never_seen_free_holds_the_reader_at_the_start() {
        let mut observations = SlotObservations::default();
        assert_eq!(
            look(&mut observations, "here", 7, 0..3, [0, 2]),
            Position::START
        );
        assert!(!observations.is_complete());
        assert_eq!(look(&mut observations, "here", 9, 0..3, [1]), position(7));
        assert!(observations.is_complete());
    }

    #[test]
    fn a_slot_that_stays_held_holds_the_reader_where_it_was_last_free() {
        let mut observations = SlotObservations::default();
        assert_eq!(
            look(&mut observations, "here", 5, 0..2, [0, 1]),
            position(5)
        );
        assert_eq!(look(&mut observations, "here", 8, 0..2, [0]), position(5));
        assert_eq!(look(&mut observations, "here", 11, 0..2, [0]), position(5));
        assert_eq!(look(&mut observations, "here", 12, 0..2, [1]), position(11));
        assert_eq!(
            look(&mut observations, "here", 13, 0..2, [0, 1]),
            position(13)
        );
    }

    #[test]
    fn what_was_seen_elsewhere_is_forgotten() {
        let mut observations = SlotObservations::default();
        assert_eq!(
            look(&mut observations, "here", 5, 0..2, [0, 1]),
            position(5)
        );
        assert_eq!(
            look(&mut observations, "there", 9, 0..2, [0]),
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
        assert_eq!(look(&mut observations, first, 5, 0..2, [0, 1]), position(5));
        // The publisher that drew 4 holds slot 1.
        assert_eq!(
            look(&mut observations, second, 7, 0..2, [0]),
            Position::START
        );
        assert_eq!(look(&mut observations, second, 7, 0..2, [1]), position(7));
    }

    #[test]
    fn positions_that_go_back_are_those_of_another_database() {
        let mut observations = SlotObservations::default();
        assert_eq!(
            look(&mut observations, "here", 50, 0..2, [0, 1]),
            position(50)
        );
        assert_eq!(
            look(&mut observations, "here", 3, 0..2, [0]),
            Position::START
        );
        assert!(!observations.is_complete());
    }

    /// The table was emptied, and as many messages were published again.
    #[test]
    fn what_was_seen_before_the_table_was_emptied_is_forgotten() {
        let mut observations = SlotObservations::default();
        let [before, after] = [1, 2].map(|id| Some(Uuid::from_u128(id)));
        let last = |message_id| MessageAt {
            position: position(5),
            message_id,
        };
        let first = observations.look("here", last(before), None, 0..2, [0, 1]);
        assert_eq!(first, position(5));
        assert_eq!(observations.last(), last(before));
        let same = observations.look("here", last(before), before, 0..2, [0]);
        assert_eq!(same, position(5));
        let emptied = observations.look("here", last(after), after, 0..2, [0]);
        assert_eq!(emptied, Position::START);
        assert!(!observations.is_complete());
    }
}
