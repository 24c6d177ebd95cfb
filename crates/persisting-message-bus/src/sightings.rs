use std::collections::BTreeMap;
use std::ops::Range;

use crate::Position;

/// What the reader of a topic remembers, from one look to the next, of publishers at work.
///
/// Backends whose publishers hold one of several *slots* while they are at work need it: a reader
/// sees which slots are free, and not since when the others are held. Other backends leave it
/// empty. It belongs to one topic.
#[derive(Debug, Clone, Default)]
pub struct Sightings {
    /// Up to where nothing can still come from whoever holds the slot now.
    free_at: BTreeMap<i64, Position>,
    last: Position,
    /// Which table, of which server, in which of its runs this is about.
    source: String,
    /// Whether a slot was held that had never been seen free.
    incomplete: bool,
}

impl Sightings {
    /// Takes in which slots were free after everything up to `last` had been handed out, and
    /// returns up to where nothing can still be committed.
    ///
    /// Whoever holds a slot took it after it was last seen free, and was handed out its positions
    /// after that. So a slot that is not free now holds the reader at the position of that look, and
    /// at the start if there was none.
    ///
    /// What was seen of another `source` is forgotten. Its name has to tell servers, databases and tables
    /// apart, and also one run of a server from the next: a server that starts again may have forgotten
    /// what it had committed last, and hands out those positions a second time. Within one run it has to
    /// stay the same on all connections, for readers that take another one for each look.
    pub fn look(
        &mut self,
        source: &str,
        last: Position,
        slots: Range<i64>,
        free: impl IntoIterator<Item = i64>,
    ) -> Position {
        // Positions go back where a dump is restored while the server runs.
        if source != self.source || last < self.last {
            self.free_at.clear();
            source.clone_into(&mut self.source);
        }
        self.last = last;
        self.free_at
            .extend(free.into_iter().map(|slot| (slot, last)));
        let seen = slots.map(|slot| self.free_at.get(&slot).copied());
        let horizon = seen.min().flatten();
        self.incomplete = horizon.is_none();
        horizon.unwrap_or_default()
    }

    /// Whether every slot that was not free at the last look had been seen free before.
    #[must_use]
    pub fn are_complete(&self) -> bool {
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
        let mut sightings = Sightings::default();
        assert_eq!(
            sightings.look("here", position(7), 0..3, [0, 2]),
            Position::START
        );
        assert!(!sightings.are_complete());
        assert_eq!(sightings.look("here", position(9), 0..3, [1]), position(7));
        assert!(sightings.are_complete());
    }

    #[test]
    fn a_slot_that_stays_held_holds_the_reader_where_it_was_last_free() {
        let mut sightings = Sightings::default();
        assert_eq!(
            sightings.look("here", position(5), 0..2, [0, 1]),
            position(5)
        );
        assert_eq!(sightings.look("here", position(8), 0..2, [0]), position(5));
        assert_eq!(sightings.look("here", position(11), 0..2, [0]), position(5));
        assert_eq!(
            sightings.look("here", position(12), 0..2, [1]),
            position(11)
        );
        assert_eq!(
            sightings.look("here", position(13), 0..2, [0, 1]),
            position(13)
        );
    }

    #[test]
    fn what_was_seen_elsewhere_is_forgotten() {
        let mut sightings = Sightings::default();
        assert_eq!(
            sightings.look("here", position(5), 0..2, [0, 1]),
            position(5)
        );
        assert_eq!(
            sightings.look("there", position(9), 0..2, [0]),
            Position::START
        );
        assert!(!sightings.are_complete());
    }

    /// A server that has forgotten its last commits hands out position 4 a second time, and then goes
    /// beyond what it had handed out before.
    #[test]
    fn what_was_seen_before_the_server_started_again_is_forgotten() {
        let mut sightings = Sightings::default();
        let (first, second) = ("here, since noon", "here, since one o'clock");
        assert_eq!(
            sightings.look(first, position(5), 0..2, [0, 1]),
            position(5)
        );
        // The publisher that drew 4 holds slot 1.
        assert_eq!(
            sightings.look(second, position(7), 0..2, [0]),
            Position::START
        );
        assert_eq!(sightings.look(second, position(7), 0..2, [1]), position(7));
    }

    #[test]
    fn positions_that_go_back_are_those_of_another_database() {
        let mut sightings = Sightings::default();
        assert_eq!(
            sightings.look("here", position(50), 0..2, [0, 1]),
            position(50)
        );
        assert_eq!(
            sightings.look("here", position(3), 0..2, [0]),
            Position::START
        );
        assert!(!sightings.are_complete());
    }
}
