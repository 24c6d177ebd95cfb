//! The changes of a consumer's stored event set, and the messages of the added type that it
//! therefore wants.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::letters::TOPIC;

/// An event set that was stored in a consumer's row, and the cursor at that time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    cursor: i64,
    wants_added: bool,
    /// The last position of the messages that are handled earlier, if there are any, and whether
    /// this has begun.
    backfill: Option<(i64, bool)>,
}

impl Change {
    pub fn new(cursor: i64, event_set: &str) -> Self {
        let event_set: Value = serde_json::from_str(event_set).unwrap();
        let types = event_set["topics"][TOPIC]["only"].as_array().unwrap();
        let backfill = &event_set["backfill"];
        let begun = |until| (until, backfill["has_begun"].as_bool().unwrap());
        Self {
            cursor,
            wants_added: types.iter().any(|name| name == "C"),
            backfill: backfill["until"].as_i64().map(begun),
        }
    }
}

/// The messages of the type C that a consumer wants.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The positions whose messages are handled. Each range causes its messages to be handled.
    pub ranges: Vec<RangeInclusive<i64>>,
    /// The number of ranges that are handled before the consumer continues.
    pub replays: usize,
    /// The cursor when C was no longer wanted.
    pub stopped_at: Option<i64>,
}

impl Wanted {
    /// Checks that the changes follow each other as they must.
    pub fn after(changes: &[Change]) -> Self {
        let mut wanted = Self::default();
        let mut since = None;
        let mut changes_left = changes.iter();
        while let Some(change) = changes_left.next() {
            match (since, change.wants_added) {
                (None, true) => {
                    since = Some(change.cursor + 1);
                    if change.backfill.is_some() {
                        let until = change.cursor;
                        wanted.ranges.push(1..=until);
                        wanted.replays += 1;
                        let states = [Some((until, false)), Some((until, true)), None];
                        let next = changes_left.by_ref().take(2).map(|it| it.backfill);
                        let seen: Vec<_> = [change.backfill].into_iter().chain(next).collect();
                        assert_eq!(seen, states, "{changes:?}");
                    }
                }
                (Some(first), false) => {
                    wanted.ranges.push(first..=change.cursor);
                    wanted.stopped_at = Some(change.cursor);
                    since = None;
                }
                _ => panic!("an event set was stored again: {changes:?}"),
            }
        }
        wanted.ranges.extend(since.map(|first| first..=i64::MAX));
        wanted
    }

    /// Returns how often the consumer handles the message of C at a position.
    pub fn count(&self, position: i64) -> usize {
        let ranges = self.ranges.iter();
        ranges.filter(|range| range.contains(&position)).count()
    }
}
