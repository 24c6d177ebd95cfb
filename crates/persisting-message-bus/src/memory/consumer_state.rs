use std::time::Duration;

use chrono::Utc;

use crate::error::Error;
use crate::memory::segments::{no_segment, segment_key};
use crate::memory::shared::Shared;
use crate::memory::state::{Consumers, State, state_key};
use crate::message::name;
use crate::store::consumer_state::{
    ConsumerRow, CursorUpdate, MessageConsumerState, NoteWork, SegmentChange, SegmentRow,
};
use crate::store::identity::ConsumerIdentity;
use crate::store::key::ConsumerKey;
use crate::store::lease::{Lease, LeaseRequest};
use crate::store::place::Place;
use crate::store::segment::{Division, Segment};

/// Keeps cursors, leases, failures and an inbox in memory. Times come from the clock of the
/// process. Clones share their content.
#[derive(Debug, Clone, Default)]
pub struct InMemoryMessageConsumerState {
    pub(super) consumers: Shared<Consumers>,
}

impl InMemoryMessageConsumerState {
    /// Creates a state in which no consumer has run.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Changes the state of the lease's consumer if the lease is still held.
    pub(super) fn write_fenced<T>(
        &mut self,
        lease: &Lease,
        change: impl FnOnce(&mut State) -> T,
    ) -> Result<T, Error> {
        self.consumers.write(|consumers| {
            match consumers
                .row(lease.key(), lease.segment.as_ref())
                .filter(|state| state.is_held(lease))
            {
                Some(state) => Ok(change(state)),
                None => Err(Error::lease_lost(lease)),
            }
        })
    }
}

impl MessageConsumerState for InMemoryMessageConsumerState {
    fn acquire(&mut self, request: &LeaseRequest<'_>) -> Result<Lease, Error> {
        name::validate("consumer", request.consumer)?;
        name::validate("topic", request.topic)?;
        let key = state_key(request.key());
        self.consumers.write(|consumers| match request.segment {
            Some(segment) => match consumers.row(request.key(), Some(segment)) {
                Some(row) => row.take(request),
                None => Err(no_segment(request, segment)),
            },
            None => consumers.states.entry(key).or_default().take(request),
        })
    }

    fn note_work(&mut self, lease: &Lease, note: &NoteWork) -> Result<(), Error> {
        self.write_fenced(lease, |state| state.note_work(note))
    }

    fn store_cursor(&mut self, lease: &Lease, store: &CursorUpdate) -> Result<(), Error> {
        self.write_fenced(lease, |state| state.store(store))
    }

    fn renew(&mut self, lease: &Lease, duration: Duration) -> Result<(), Error> {
        self.write_fenced(lease, |state| state.renew(duration))
    }

    fn release(&mut self, lease: &Lease) -> Result<(), Error> {
        match self.write_fenced(lease, State::give_back) {
            Err(error) if !error.is_lease_lost() => Err(error),
            _ => Ok(()),
        }
    }

    fn end_lease(&mut self, key: ConsumerKey<'_>) -> Result<bool, Error> {
        self.consumers.write(|consumers| {
            let ended = consumers.of_mut(key).map(State::end_lease);
            // All end, so the count comes first.
            Ok(ended.filter(|ended| *ended).count() > 0)
        })
    }

    fn reset(&mut self, lease: &Lease, place: Place) -> Result<(), Error> {
        self.write_fenced(lease, |state| {
            let start = place.position();
            state
                .failures
                .retain(|position, failure| *position <= start && !failure.state.is_in_front());
            state.replay_until = lease.replayed_after_reset();
            state.store(&CursorUpdate {
                place,
                extend_lease: None,
            });
            state.suspect_until = None;
        })
    }

    fn identify(&mut self, lease: &Lease, identity: ConsumerIdentity<'_>) -> Result<(), Error> {
        let stored = self.write_fenced(lease, |state| {
            let is_same = state.identity.event_set == lease.identity.event_set;
            if is_same {
                state.identity = identity.into();
            }
            is_same
        })?;
        stored.then_some(()).ok_or_else(|| Error::lease_lost(lease))
    }

    fn replace_event_set(
        &mut self,
        key: ConsumerKey<'_>,
        before: &str,
        after: &str,
    ) -> Result<bool, Error> {
        self.consumers.write(|consumers| {
            let rows = consumers.of_mut(key);
            let stored = rows.filter_map(|state| state.identity.event_set.as_mut());
            let stored = stored.filter(|stored| *stored == before);
            let replaced = stored.map(|stored| after.clone_into(stored));
            Ok(replaced.count() > 0)
        })
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<bool, Error> {
        name::validate("consumer", from)?;
        name::validate("consumer", to)?;
        self.consumers.write(|consumers| consumers.rename(from, to))
    }

    fn pause(&mut self, key: ConsumerKey<'_>) -> Result<bool, Error> {
        self.consumers.write(|consumers| {
            let row = consumers.row(key, None);
            Ok(row
                .map(|state| state.paused_at.get_or_insert_with(Utc::now))
                .is_some())
        })
    }

    fn resume(&mut self, key: ConsumerKey<'_>) -> Result<bool, Error> {
        self.consumers.write(|consumers| {
            let row = consumers.row(key, None);
            Ok(row.map(|state| state.paused_at = None).is_some())
        })
    }

    fn stored_consumer(&mut self, key: ConsumerKey<'_>) -> Result<Option<ConsumerRow>, Error> {
        Ok(self.consumers.read(|consumers| {
            let state = consumers.states.get(&state_key(key));
            state.map(State::to_row)
        }))
    }

    fn divide(&mut self, leases: &[Lease], division: Division) -> Result<(), Error> {
        self.consumers
            .write(|consumers| consumers.divide(leases, division))
    }

    fn segments(
        &mut self,
        key: ConsumerKey<'_>,
        division: Division,
    ) -> Result<Vec<SegmentRow>, Error> {
        self.consumers
            .read(|consumers| consumers.segment_rows(key, division))
    }

    fn stored_segment(
        &mut self,
        key: ConsumerKey<'_>,
        segment: &Segment,
    ) -> Result<Option<ConsumerRow>, Error> {
        Ok(self.consumers.read(|consumers| {
            let row = consumers.segments.get(&segment_key(segment, key.topic));
            row.map(State::to_row)
        }))
    }

    fn change_division(
        &mut self,
        key: ConsumerKey<'_>,
        before: Division,
        after: Division,
    ) -> Result<bool, Error> {
        self.consumers
            .write(|consumers| Ok(consumers.change_division(key, before, after)))
    }

    fn replace_segments(&mut self, changes: &[SegmentChange<'_>]) -> Result<bool, Error> {
        self.consumers.write(|consumers| consumers.replace(changes))
    }
}
