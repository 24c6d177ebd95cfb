//! Which part of a topic is read.

use crate::message::slot::Slot;
use crate::position::Position;

/// The part of a topic that a page is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Part {
    /// All of it.
    #[default]
    Whole,
    /// The messages whose keys have these slots.
    Keys(SlotRange),
    /// The messages whose positions have these slots: see [`slot_of`](Self::slot_of).
    Positions(SlotRange),
}

/// A range of slots, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotRange {
    /// The first slot, from -1.
    pub from: i16,
    /// The last slot, up to 32,767.
    pub to: i16,
}

/// The factor that spreads positions over the slots. It is odd, so no two positions of a run of
/// 32,768 have the same slot, and near 32,768 divided by the golden ratio, so the slots of
/// neighbours are far apart.
pub(crate) const SPREAD: i64 = 20_251;

/// The number of slots of keys.
pub(crate) const SLOTS: i64 = 32_768;

impl Part {
    /// Returns `true` if the part contains the message with a position and the slot of its key.
    #[must_use]
    pub fn includes(self, position: Position, slot: Slot) -> bool {
        match self {
            Self::Whole => true,
            Self::Keys(range) => range.contains(slot),
            Self::Positions(range) => range.contains(Self::slot_of(position)),
        }
    }

    /// Returns the slots, unless this is all of the topic.
    #[must_use]
    pub fn slots(self) -> Option<SlotRange> {
        match self {
            Self::Whole => None,
            Self::Keys(range) | Self::Positions(range) => Some(range),
        }
    }

    /// Returns the slot of a position, for consumers that need no order: the position times 20,251,
    /// modulo 32,768.
    #[must_use]
    pub fn slot_of(position: Position) -> Slot {
        let slot = (position.get().rem_euclid(SLOTS) * SPREAD).rem_euclid(SLOTS);
        Slot::new(i16::try_from(slot).unwrap_or_default())
    }
}

impl SlotRange {
    /// Returns `true` if the slot is in the range.
    #[must_use]
    pub fn contains(self, slot: Slot) -> bool {
        (self.from..=self.to).contains(&slot.get())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn positions_spread_over_all_slots() {
        let slot = |position| Part::slot_of(Position::new(position)).get();
        let slots: HashSet<_> = (1..=SLOTS).map(slot).collect();
        assert_eq!(slots.len(), 32_768);
        let first: HashSet<_> = (1..=64).map(|position| slot(position) / 512).collect();
        assert!(
            first.len() > 50,
            "64 neighbours share {} of 64 parts",
            first.len()
        );
        assert!(slot(i64::MAX) >= 0);
    }
}
