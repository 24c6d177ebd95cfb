//! The topics and message types that a consumer reads, in the form in which they are stored.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::position::Position;
use crate::store::page_request::TypeFilter;
use crate::store::place::{Anchor, Place};

/// What a consumer reads. It is stored as JSON with each cursor of the consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EventSetRecord {
    pub(crate) topics: BTreeMap<String, Types>,
    /// Messages before the cursor that are handled first, on the topic of this row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) backfill: Option<Backfill>,
}

/// The wanted message types of a topic, by their wire names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Types {
    Only(BTreeSet<String>),
    Except(BTreeSet<String>),
}

/// Stands for all types that a program does not know, beside the names of those that it wants. So
/// an event set with a variant for unknown messages stays the same when its topic gets a type.
pub(crate) const UNKNOWN: &str = "?";

/// Messages of added types, which are handled before the consumer continues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Backfill {
    pub(crate) types: Types,
    /// The cursor when the types were added, and its anchor.
    pub(crate) until: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) anchor_position: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) anchor_id: Option<Uuid>,
    /// Whether the cursor was moved to the start. Until then, nothing is handled.
    pub(crate) has_begun: bool,
}

/// How what a program reads compares with what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    Same,
    /// The program reads more.
    Grown,
    /// The program reads less. It is an older one, or does not want some types any more.
    Narrower,
    /// Each reads something that the other does not.
    Other,
}

impl EventSetRecord {
    /// Reads the stored form. Returns `None` if it is not understood.
    pub(crate) fn from_stored(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Returns the stored form.
    pub(crate) fn to_stored(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Compares what a program reads with what is stored. Types that the program knows as retired
    /// do not count, because no program reads them any more.
    pub(crate) fn relation_to(&self, stored: &Self) -> Relation {
        match (self.includes(stored), stored.includes(self)) {
            (true, true) => Relation::Same,
            (true, false) => Relation::Grown,
            (false, true) => Relation::Narrower,
            (false, false) => Relation::Other,
        }
    }

    fn includes(&self, other: &Self) -> bool {
        other.topics.iter().all(|(topic, types)| {
            let own = self.topics.get(topic);
            own.is_some_and(|own| own.includes(types))
        })
    }

    /// Returns the stored event set without the types of a topic that a program has retired.
    pub(crate) fn without(mut self, topic: &str, retired: &[&str]) -> Self {
        let backfill = self.backfill.as_mut().map(|backfill| &mut backfill.types);
        for types in self.topics.get_mut(topic).into_iter().chain(backfill) {
            if let Types::Only(names) = types {
                names.retain(|name| !retired.contains(&name.as_str()));
            }
        }
        self
    }

    /// Removes a type of a topic; returns `true` if it was wanted.
    pub(crate) fn remove(&mut self, topic: &str, name: &str) -> bool {
        let types = self.topics.get_mut(topic);
        types.is_some_and(|types| types.remove(name))
    }
}

impl Types {
    /// Returns whether the type is wanted.
    pub(crate) fn include(&self, name: &str) -> bool {
        match self {
            Self::Only(names) => names.contains(name),
            Self::Except(names) => !names.contains(name),
        }
    }

    /// Removes a type; returns `true` if it was wanted.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        match self {
            Self::Only(names) => names.remove(name),
            Self::Except(names) => names.insert(name.to_owned()),
        }
    }

    /// Returns these types without those that stand for no name.
    pub(crate) fn without_unknown(mut self) -> Self {
        if let Self::Only(names) = &mut self {
            names.remove(UNKNOWN);
        }
        self
    }

    /// Returns whether no type is wanted.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Only(names) if names.is_empty())
    }

    fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Only(own), Self::Only(other)) => other.is_subset(own),
            (Self::Only(_), Self::Except(_)) => false,
            (Self::Except(left_out), Self::Only(other)) => left_out.is_disjoint(other),
            (Self::Except(own), Self::Except(other)) => own.is_subset(other),
        }
    }

    /// Returns the types that are wanted here and not there.
    pub(crate) fn added_to(&self, before: &Self) -> Self {
        match (self, before) {
            (Self::Only(now), before) => {
                let added = now.iter().filter(|name| !before.include(name));
                Self::Only(added.cloned().collect())
            }
            (Self::Except(now), Self::Except(before)) => {
                Self::Only(before.difference(now).cloned().collect())
            }
            (Self::Except(now), Self::Only(before)) => {
                Self::Except(now.union(before).cloned().collect())
            }
        }
    }

    /// Returns the filter for reading. `names` are those of [`names`](Self::names), and further
    /// names if they are left out.
    pub(crate) fn filter<'a>(&self, names: &'a [&'a str]) -> TypeFilter<'a> {
        match self {
            // Which types these are depends on the program.
            Self::Only(_) if names.contains(&UNKNOWN) => TypeFilter::All,
            Self::Only(_) => TypeFilter::Only(names),
            Self::Except(_) if names.is_empty() => TypeFilter::All,
            Self::Except(_) => TypeFilter::Except(names),
        }
    }

    /// Returns the names that are selected or left out.
    pub(crate) fn names(&self) -> Vec<&str> {
        let (Self::Only(names) | Self::Except(names)) = self;
        names.iter().map(String::as_str).collect()
    }
}

impl Backfill {
    /// Creates the backfill of a consumer that is at a place.
    pub(crate) fn up_to(place: Place, types: Types) -> Self {
        Self {
            types,
            until: place.position().get(),
            anchor_position: place.anchor.map(|anchor| anchor.position.get()),
            anchor_id: place.anchor.map(|anchor| anchor.message_id),
            has_begun: false,
        }
    }

    pub(crate) fn until(&self) -> Position {
        Position::new(self.until)
    }

    /// Returns the place at which the consumer continues afterwards.
    pub(crate) fn end(&self) -> Place {
        let anchor = self.anchor_position.zip(self.anchor_id);
        Place {
            cursor: Some(self.until()),
            anchor: anchor.map(|(position, message_id)| Anchor {
                position: Position::new(position),
                message_id,
            }),
        }
    }
}

/// Writes the event set for people.
impl fmt::Display for EventSetRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (topic, types)) in self.topics.iter().enumerate() {
            if index > 0 {
                formatter.write_str("; ")?;
            }
            write!(formatter, "{topic}: {types}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Types {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.names().join(", ");
        match self {
            Self::Only(_) => formatter.write_str(&names),
            Self::Except(left_out) if left_out.is_empty() => formatter.write_str("all types"),
            Self::Except(_) => write!(formatter, "all types except {names}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only<const N: usize>(names: [&str; N]) -> Types {
        Types::Only(names.map(str::to_owned).into())
    }

    fn except<const N: usize>(names: [&str; N]) -> Types {
        Types::Except(names.map(str::to_owned).into())
    }

    fn orders(types: Types) -> EventSetRecord {
        EventSetRecord {
            topics: BTreeMap::from([("orders".to_owned(), types)]),
            backfill: None,
        }
    }

    /// Every event set over two known types and all others, to compare each with each.
    fn all() -> Vec<Types> {
        let names = [vec![], vec!["A"], vec!["B"], vec!["A", "B"]];
        let sets = names.map(|names| {
            names
                .into_iter()
                .map(str::to_owned)
                .collect::<BTreeSet<_>>()
        });
        let only = sets.iter().cloned().map(Types::Only);
        only.chain(sets.iter().cloned().map(Types::Except))
            .collect()
    }

    #[test]
    fn relations_are_those_of_the_sets() {
        let wanted = |types: &Types| ["A", "B", "other"].map(|name| types.include(name));
        for own in all() {
            for stored in all() {
                let pairs = wanted(&own).into_iter().zip(wanted(&stored));
                let (mut more, mut less) = (false, false);
                for (own, stored) in pairs {
                    more |= own && !stored;
                    less |= stored && !own;
                }
                let expected = match (more, less) {
                    (false, false) => Relation::Same,
                    (true, false) => Relation::Grown,
                    (false, true) => Relation::Narrower,
                    (true, true) => Relation::Other,
                };
                let relation = orders(own.clone()).relation_to(&orders(stored.clone()));
                assert_eq!(relation, expected, "{own} compared with {stored}");
                let added = own.added_to(&stored);
                for name in ["A", "B", "other"] {
                    let is_added = own.include(name) && !stored.include(name);
                    assert_eq!(
                        added.include(name),
                        is_added,
                        "{own} after {stored}: {name}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_topic_more_is_growth() {
        let mut both = orders(only(["A"]));
        both.topics.insert("payments".to_owned(), except([]));
        let one = orders(only(["A"]));
        assert_eq!(both.relation_to(&one), Relation::Grown);
        assert_eq!(one.relation_to(&both), Relation::Narrower);
        assert_eq!(orders(only(["B"])).relation_to(&both), Relation::Other);
    }

    #[test]
    fn an_event_set_comes_back_as_it_was_stored() {
        for types in all() {
            let place = Place::after(Position::new(i64::MAX), Uuid::max());
            let backfill = Backfill {
                has_begun: true,
                ..Backfill::up_to(place, types.clone())
            };
            assert_eq!(backfill.end(), place);
            let record = EventSetRecord {
                backfill: Some(backfill),
                ..orders(types)
            };
            let stored = record.to_stored();
            assert_eq!(
                EventSetRecord::from_stored(&stored),
                Some(record),
                "{stored}"
            );
        }
    }
}
