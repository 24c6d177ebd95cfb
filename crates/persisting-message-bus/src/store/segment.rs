//! The segments into which a consumer is divided, so that several threads and processes work for
//! its name.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::message::slot::Slot;
use crate::position::Position;
use crate::store::part::{Part, SLOTS, SlotRange};

/// The highest number of segments.
pub const MAX_SEGMENTS: u16 = 4_096;

/// How a consumer is divided. Stored in its row, as a text such as `key 64`, or `key 64 to 128 at
/// 4711` while the number of segments changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Division {
    /// What decides to which segment a message belongs.
    pub by: DividedBy,
    /// The number of segments.
    pub segments: u16,
    /// The change of that number, while it is in progress.
    pub resize: Option<Resize>,
}

/// What decides to which segment a message belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DividedBy {
    /// The slot of its key. So messages of one key keep their order.
    Key,
    /// The slot of its position. So messages have no order.
    Position,
}

/// A change of the number of segments. All segments stop at one position, and are then replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resize {
    /// The number of segments afterwards.
    pub to: u16,
    /// The position after which no segment handles a message before that.
    pub stop_at: Position,
}

/// A segment: a range of slots, with a cursor and a lease of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its number, from 0.
    pub number: u16,
    /// The messages that belong to it.
    pub part: Part,
    /// The text that identifies it among the segments of all consumers on a topic, such as `mailer/3 of
    /// 64`. It has the number of segments, because segments of the same number and of another size must
    /// not be taken for this one.
    pub name: String,
}

impl Division {
    /// Returns the division into so many segments, at least 1 and at most
    /// [`MAX_SEGMENTS`].
    #[must_use]
    pub fn new(by: DividedBy, segments: u16) -> Self {
        Self {
            by,
            segments: segments.clamp(1, MAX_SEGMENTS),
            resize: None,
        }
    }

    /// Returns whether both have the same segments, whatever they change to.
    pub(crate) fn is_same_as(self, other: Self) -> bool {
        (self.by, self.segments) == (other.by, other.segments)
    }

    /// Returns a segment. Segments divide the slots evenly; messages without a key belong to the
    /// first one.
    #[must_use]
    pub fn segment(&self, consumer: &str, number: u16) -> Segment {
        let start = |number: u16| i64::from(number) * SLOTS / i64::from(self.segments);
        let slot = |at: i64| i16::try_from(at).unwrap_or(i16::MAX);
        let range = SlotRange {
            from: if number == 0 { -1 } else { slot(start(number)) },
            to: slot(start(number.saturating_add(1)) - 1),
        };
        Segment {
            number,
            part: match self.by {
                DividedBy::Key => Part::Keys(range),
                DividedBy::Position => Part::Positions(range),
            },
            name: format!("{consumer}/{number} of {}", self.segments),
        }
    }

    /// Returns the number of the segment that has a slot. Messages without a key belong to the first
    /// one.
    fn number_of(&self, slot: Slot) -> u16 {
        let slot = i64::from(slot.get().max(0));
        let number = slot * i64::from(self.segments) / SLOTS;
        let next_start = (number + 1) * SLOTS / i64::from(self.segments);
        let number = if next_start <= slot {
            number + 1
        } else {
            number
        };
        u16::try_from(number).unwrap_or_default()
    }

    /// Returns the number of the segment to which a message belongs. `slot` is that of its key.
    pub(crate) fn number_at(&self, position: Position, slot: Slot) -> u16 {
        self.number_of(match self.by {
            DividedBy::Key => slot,
            DividedBy::Position => Part::slot_of(position),
        })
    }

    /// Returns all segments, lowest number first.
    pub fn all<'a>(&'a self, consumer: &'a str) -> impl Iterator<Item = Segment> + 'a {
        (0..self.segments).map(|number| self.segment(consumer, number))
    }

    /// Reads what [`Display`](fmt::Display) has written; `None` if the text is something else.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let by = match words.next()? {
            "key" => DividedBy::Key,
            "position" => DividedBy::Position,
            _ => return None,
        };
        let segments = words.next()?.parse().ok().filter(is_number_of_segments)?;
        let resize = match words.next() {
            None => None,
            Some("to") => {
                let to = words.next()?.parse().ok().filter(is_number_of_segments)?;
                (words.next()? == "at").then_some(())?;
                let stop_at = Position::new(words.next()?.parse().ok()?);
                Some(Resize { to, stop_at })
            }
            Some(_) => return None,
        };
        words.next().is_none().then_some(Self {
            by,
            segments,
            resize,
        })
    }
}

fn is_number_of_segments(number: &u16) -> bool {
    (1..=MAX_SEGMENTS).contains(number)
}

impl fmt::Display for Division {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.by, self.segments)?;
        match self.resize {
            Some(Resize { to, stop_at }) => write!(formatter, " to {to} at {stop_at}"),
            None => Ok(()),
        }
    }
}

impl Serialize for Division {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for DividedBy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Key => "key",
            Self::Position => "position",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_cover_each_slot_once() {
        for segments in [1, 2, 3, 7, 64, 1_000, MAX_SEGMENTS] {
            let mut next = -1;
            for segment in Division::new(DividedBy::Key, segments).all("mailer") {
                let none = SlotRange { from: 0, to: -1 };
                let slots = segment.part.slots().unwrap_or(none);
                assert_eq!(i32::from(slots.from), next, "{segment:?} of {segments}");
                assert!(slots.to >= slots.from);
                let division = Division::new(DividedBy::Key, segments);
                for slot in [slots.from, slots.to].map(Slot::new) {
                    assert_eq!(
                        division.number_of(slot),
                        segment.number,
                        "{slot} of {segments}"
                    );
                }
                next = i32::from(slots.to) + 1;
            }
            assert_eq!(next, 32_768, "{segments}");
        }
    }

    #[test]
    fn a_division_is_read_as_it_was_written() {
        let resize = Resize {
            to: 128,
            stop_at: Position::new(4_711),
        };
        for (division, text) in [
            (Division::new(DividedBy::Key, 64), "key 64"),
            (Division::new(DividedBy::Position, 0), "position 1"),
            (
                Division {
                    resize: Some(resize),
                    ..Division::new(DividedBy::Key, 64)
                },
                "key 64 to 128 at 4711",
            ),
        ] {
            assert_eq!(division.to_string(), text);
            assert_eq!(Division::from_stored(text), Some(division));
        }
        for broken in [
            "",
            "key",
            "key 0",
            "key 5000",
            "slot 4",
            "key 4 to 8",
            "key 4 to 8 at x",
            "key 4 5",
        ] {
            assert_eq!(Division::from_stored(broken), None, "{broken}");
        }
    }
}
