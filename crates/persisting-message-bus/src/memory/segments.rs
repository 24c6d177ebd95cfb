//! The segments of consumers in memory.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::memory::state::{Consumers, State, state_key};
use crate::store::consumer_state::{SegmentChange, SegmentRow};
use crate::store::failures::FailureState;
use crate::store::key::ConsumerKey;
use crate::store::lease::{Lease, LeaseRequest};
use crate::store::part::{Part, SlotRange};
use crate::store::segment::{Division, Segment};

pub(super) fn segment_key(segment: &Segment, topic: &str) -> (String, String) {
    (segment.name.clone(), topic.to_owned())
}

/// Returns the error that there is no such segment any more.
pub(super) fn no_segment(request: &LeaseRequest<'_>, segment: &Segment) -> Error {
    let doing = format!("taking the lease on topic \"{}\"", request.topic);
    let number = segment.number;
    let problem = format!("segment {number} is not there: the number of segments has changed");
    Error::transient(doing, problem).of_consumer(request.consumer)
}

impl Consumers {
    /// Returns the row of a consumer or of one of its segments.
    pub(super) fn row(
        &mut self,
        key: ConsumerKey<'_>,
        segment: Option<&Segment>,
    ) -> Option<&mut State> {
        match segment {
            Some(segment) => self.segments.get_mut(&segment_key(segment, key.topic)),
            None => self.states.get_mut(&state_key(key)),
        }
    }

    /// Returns the row of a consumer and those of its segments.
    pub(super) fn of<'a>(&'a self, key: ConsumerKey<'a>) -> impl Iterator<Item = &'a State> {
        let segments = self.segments.iter();
        let segments = segments.filter(move |((_, topic), row)| is_of(key, topic, row));
        let whole = self.states.get(&state_key(key)).into_iter();
        whole.chain(segments.map(|(_, row)| row))
    }

    /// Returns the row of a consumer and those of its segments, to change them.
    pub(super) fn of_mut<'a>(
        &'a mut self,
        key: ConsumerKey<'a>,
    ) -> impl Iterator<Item = &'a mut State> {
        let segments = self.segments.iter_mut();
        let segments = segments.filter(move |((_, topic), row)| is_of(key, topic, row));
        let whole = self.states.get_mut(&state_key(key)).into_iter();
        whole.chain(segments.map(|(_, row)| row))
    }

    pub(super) fn divide(&mut self, leases: &[Lease], division: Division) -> Result<(), Error> {
        for lease in leases {
            let row = self.row(lease.key(), None);
            if row.is_none_or(|row| !row.is_held(lease)) {
                return Err(Error::lease_lost(lease));
            }
        }
        for lease in leases {
            self.divide_on(lease, division);
        }
        Ok(())
    }

    /// Divides the consumer on one topic.
    fn divide_on(&mut self, lease: &Lease, division: Division) {
        let Some(row) = self.row(lease.key(), None) else {
            return;
        };
        row.division = Some(division);
        row.give_back();
        let mut row = State {
            failures: std::mem::take(&mut row.failures),
            ..State::default()
        };
        // The others fail again, in their segments.
        row.failures.retain(|_, failed| {
            matches!(failed.state, FailureState::Parked | FailureState::Redriven)
        });
        self.insert(lease, division);
        self.keep_failures(lease.key(), row, division);
    }

    /// Inserts the segments of a division. They begin where the lease's cursor stands, and the epochs
    /// of their leases after its epoch.
    fn insert(&mut self, lease: &Lease, division: Division) {
        for segment in division.all(&lease.consumer) {
            let row = State {
                of_consumer: Some(lease.consumer.clone()),
                slots: segment.part.slots(),
                place: lease.place(),
                identity: lease.identity.clone(),
                epoch: lease.epoch,
                replay_until: lease.replay_until,
                ..State::default()
            };
            self.segments
                .insert(segment_key(&segment, &lease.topic), row);
        }
    }

    pub(super) fn segment_rows(
        &self,
        key: ConsumerKey<'_>,
        division: Division,
    ) -> Result<Vec<SegmentRow>, Error> {
        let rows = division.all(key.consumer).map(|segment| {
            let row = self.segments.get(&segment_key(&segment, key.topic));
            let row = row.filter(|row| row.slots == segment.part.slots());
            row.map(State::to_row)
                .map(|row| SegmentRow { segment, row })
        });
        rows.collect::<Option<_>>().ok_or_else(|| {
            let doing = format!("reading the segments on topic \"{}\"", key.topic);
            let problem = format!("a segment of \"{division}\" is missing");
            Error::permanent(doing, problem).of_consumer(key.consumer)
        })
    }

    pub(super) fn change_division(
        &mut self,
        key: ConsumerKey<'_>,
        before: Division,
        after: Division,
    ) -> bool {
        let row = self.row(key, None);
        let row = row.filter(|row| row.division == Some(before));
        row.map(|row| row.division = Some(after)).is_some()
    }

    pub(super) fn replace(&mut self, changes: &[SegmentChange<'_>]) -> Result<bool, Error> {
        for change in changes {
            let row = self.row(change.key, None);
            if row.is_none_or(|row| row.division != Some(change.before)) {
                return Ok(false);
            }
            for lease in &change.leases {
                let row = self.row(change.key, lease.segment.as_ref());
                if row.is_none_or(|row| !row.is_held(lease)) {
                    return Err(Error::lease_lost(lease));
                }
            }
        }
        for change in changes {
            self.replace_on(change);
        }
        Ok(true)
    }

    /// Replaces the segments on one topic.
    fn replace_on(&mut self, change: &SegmentChange<'_>) {
        let key = change.key;
        let Some(latest) = change.leases.iter().max_by_key(|lease| lease.epoch) else {
            return;
        };
        self.change_division(key, change.before, change.after);
        let removed = change.leases.iter().filter_map(|lease| {
            let segment = lease.segment.as_ref()?;
            self.segments.remove(&segment_key(segment, key.topic))
        });
        let removed: Vec<_> = removed.collect();
        let new = Lease {
            segment: None,
            epoch: latest.epoch + 1,
            cursor: change.place.cursor,
            anchor: change.place.anchor,
            replay_until: change.replay_until(),
            ..latest.clone()
        };
        self.insert(&new, change.after);
        for row in removed {
            self.keep_failures(key, row, change.after);
        }
    }

    /// Gives the failures of a segment to the new segments. Memory does not know the slot of a
    /// message, so all failures follow the segment's first slot, as those of a consumer that was not
    /// divided follow the first segment.
    fn keep_failures(&mut self, key: ConsumerKey<'_>, row: State, division: Division) {
        for (position, failed) in row.failures {
            let first = row.slots.map_or(-1, |slots| slots.from);
            let slot = match division.segment(key.consumer, 0).part {
                Part::Positions(_) => Part::slot_of(position).get(),
                _ => first,
            };
            let mut segments = division.all(key.consumer);
            let has_slot = |it: &Segment| {
                let slots = it.part.slots();
                slots.is_some_and(|SlotRange { from, to }| (from..=to).contains(&slot))
            };
            if let Some(segment) = segments.find(has_slot)
                && let Some(row) = self.row(key, Some(&segment))
            {
                let failures: &mut BTreeMap<_, _> = &mut row.failures;
                failures.insert(position, failed);
            }
        }
    }

    /// Gives the segments of a consumer the consumer's new name.
    pub(super) fn rename_segments(&mut self, from: &str, to: &str) -> Result<(), Error> {
        let is_of = |row: &State| row.of_consumer.as_deref() == Some(from);
        let keys: Vec<_> = self
            .segments
            .iter()
            .filter(|(_, row)| is_of(row))
            .map(|(key, _)| key.clone())
            .collect();
        for key in &keys {
            let number = key.0.strip_prefix(from).unwrap_or_default();
            let mut words = number.trim_start_matches('/').split(' ');
            let number = words.next().and_then(|it| it.parse().ok());
            let free = self.segments[key].check_free(&(from.to_owned(), key.1.clone()));
            free.map_err(|held| held.of_segment(number))?;
        }
        for key in keys {
            if let Some(mut row) = self.segments.remove(&key) {
                let number = key.0.strip_prefix(from).unwrap_or_default();
                row.of_consumer = Some(to.to_owned());
                self.segments.insert((format!("{to}{number}"), key.1), row);
            }
        }
        Ok(())
    }
}

fn is_of(key: ConsumerKey<'_>, topic: &str, row: &State) -> bool {
    topic == key.topic && row.of_consumer.as_deref() == Some(key.consumer)
}
