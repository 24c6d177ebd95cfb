use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::error::Error;
use crate::memory::shared::Shared;
use crate::message::name;
use crate::position::Position;
use crate::store::consumer_state::{ConsumerRow, CursorUpdate, MessageConsumerState, NoteWork};
use crate::store::failures::{FailedMessage, FailureState};
use crate::store::identity::{ConsumerIdentity, StoredIdentity};
use crate::store::key::ConsumerKey;
use crate::store::lease::{Lease, LeaseRequest};
use crate::store::place::Place;
use crate::store::work::Work;

/// Keeps cursors, leases, failures and an inbox in memory. Times come from the clock of the
/// process. Clones share their content.
#[derive(Debug, Clone, Default)]
pub struct InMemoryMessageConsumerState {
    pub(super) consumers: Shared<Consumers>,
}

/// The values that change together.
#[derive(Debug, Clone, Default)]
pub(super) struct Consumers {
    /// By consumer and topic.
    pub(super) states: HashMap<(String, String), State>,
    /// The time of receipt, by consumer, source and message id.
    pub(super) inbox: HashMap<[String; 3], DateTime<Utc>>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct State {
    place: Place,
    identity: StoredIdentity,
    epoch: i64,
    held: Option<LeaseRow>,
    replay_until: Option<Position>,
    paused_at: Option<DateTime<Utc>>,
    cursor_moved_at: Option<DateTime<Utc>>,
    work: Option<Work>,
    suspect_until: Option<Position>,
    pub(super) failures: BTreeMap<Position, FailedMessage>,
}

#[derive(Debug, Clone)]
struct LeaseRow {
    owner: String,
    expires_at: DateTime<Utc>,
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
            let key = state_key(lease.key());
            match consumers
                .states
                .get_mut(&key)
                .filter(|state| state.is_held(lease))
            {
                Some(state) => Ok(change(state)),
                None => Err(Error::lease_lost(lease)),
            }
        })
    }
}

impl Consumers {
    fn rename(&mut self, from: &str, to: &str) -> Result<bool, Error> {
        if self.states.keys().any(|(consumer, _)| consumer == to) {
            return Err(Error::name_taken(from, to));
        }
        let of = |consumer: &str| consumer == from;
        let topics: Vec<_> = self
            .states
            .keys()
            .filter(|(consumer, _)| of(consumer))
            .cloned()
            .collect();
        for key in &topics {
            self.states[key].check_free(key)?;
        }
        for (consumer, topic) in &topics {
            let state = self.states.remove(&(consumer.clone(), topic.clone()));
            self.states
                .extend(state.map(|state| ((to.to_owned(), topic.clone()), state)));
        }
        let received: Vec<_> = self
            .inbox
            .keys()
            .filter(|[consumer, ..]| of(consumer))
            .cloned()
            .collect();
        for [consumer, source, id] in received {
            let at = self.inbox.remove(&[consumer, source.clone(), id.clone()]);
            self.inbox
                .extend(at.map(|at| ([to.to_owned(), source, id], at)));
        }
        Ok(!topics.is_empty())
    }
}

impl State {
    /// Fails if a holder has an unexpired lease.
    fn check_free(&self, (consumer, topic): &(String, String)) -> Result<(), Error> {
        match self
            .held
            .as_ref()
            .filter(|held| held.expires_at > Utc::now())
        {
            Some(held) => {
                let key = ConsumerKey { consumer, topic };
                let owner = Some(held.owner.clone());
                Err(Error::lease_held(key, owner, Some(held.expires_at)))
            }
            None => Ok(()),
        }
    }

    fn is_held(&self, lease: &Lease) -> bool {
        let owner = self.held.as_ref().map(|held| held.owner.as_str());
        self.epoch == lease.epoch && owner == Some(&lease.owner)
    }

    fn take(&mut self, request: &LeaseRequest<'_>) -> Result<Lease, Error> {
        let now = Utc::now();
        if let Some(held) = &self.held
            && held.owner != request.owner
            && held.expires_at > now
        {
            let owner = Some(held.owner.clone());
            let expires_at = Some(held.expires_at);
            let held = Error::requested_lease_held(request, owner, expires_at, now);
            return Err(held);
        }
        if self
            .held
            .as_ref()
            .is_none_or(|held| held.owner == request.owner)
        {
            self.work = None;
        }
        if self.epoch == 0 {
            self.identity = request.identity.into();
        }
        self.epoch += 1;
        self.held = Some(LeaseRow {
            owner: request.owner.to_owned(),
            expires_at: expiry(now, request.duration),
        });
        Ok(Lease {
            consumer: request.consumer.to_owned(),
            topic: request.topic.to_owned(),
            owner: request.owner.to_owned(),
            epoch: self.epoch,
            cursor: self.place.cursor,
            anchor: self.place.anchor,
            replay_until: self.replay_until,
            left: self.work,
            suspect_until: self.suspect_until,
            identity: self.identity.clone(),
        })
    }

    fn note_work(&mut self, note: &NoteWork) {
        self.work = note.work;
        self.suspect_until = note.suspect_until;
        self.renew(note.extend_lease);
    }

    pub(super) fn give_back(&mut self) {
        self.held = None;
        self.work = None;
    }

    /// Ends the lease as if it expired now. Returns whether there is one.
    fn end_lease(&mut self) -> bool {
        let Some(held) = &mut self.held else {
            return false;
        };
        held.expires_at = Utc::now();
        self.epoch += 1;
        true
    }

    pub(super) fn renew(&mut self, duration: Duration) {
        if let Some(held) = &mut self.held {
            held.expires_at = expiry(Utc::now(), duration);
        }
    }

    pub(super) fn store(&mut self, store: &CursorUpdate) {
        self.place = store.place;
        self.cursor_moved_at = Some(Utc::now());
        self.work = store.extend_lease.map(|_| Work::PAGE);
        self.held = self
            .held
            .take()
            .zip(store.extend_lease)
            .map(|(held, duration)| LeaseRow {
                expires_at: expiry(Utc::now(), duration),
                ..held
            });
    }
}

pub(super) fn state_key(key: ConsumerKey<'_>) -> (String, String) {
    (key.consumer.to_owned(), key.topic.to_owned())
}

/// Returns the time of expiry. A duration beyond the calendar ends at the last time of the
/// calendar.
fn expiry(now: DateTime<Utc>, duration: std::time::Duration) -> DateTime<Utc> {
    TimeDelta::from_std(duration)
        .ok()
        .and_then(|duration| now.checked_add_signed(duration))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

impl MessageConsumerState for InMemoryMessageConsumerState {
    fn acquire(&mut self, request: &LeaseRequest<'_>) -> Result<Lease, Error> {
        name::validate("consumer", request.consumer)?;
        name::validate("topic", request.topic)?;
        let key = state_key(request.key());
        self.consumers
            .write(|consumers| consumers.states.entry(key).or_default().take(request))
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
            let state = consumers.states.get_mut(&state_key(key));
            Ok(state.is_some_and(State::end_lease))
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
            let state = consumers.states.get_mut(&state_key(key));
            let stored = state.and_then(|state| state.identity.event_set.as_mut());
            let stored = stored.filter(|stored| *stored == before);
            Ok(stored.map(|stored| after.clone_into(stored)).is_some())
        })
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<bool, Error> {
        name::validate("consumer", from)?;
        name::validate("consumer", to)?;
        self.consumers.write(|consumers| consumers.rename(from, to))
    }

    fn pause(&mut self, key: ConsumerKey<'_>) -> Result<bool, Error> {
        self.consumers.write(|consumers| {
            let state = consumers.states.get_mut(&state_key(key));
            Ok(state
                .map(|state| state.paused_at.get_or_insert_with(Utc::now))
                .is_some())
        })
    }

    fn resume(&mut self, key: ConsumerKey<'_>) -> Result<bool, Error> {
        self.consumers.write(|consumers| {
            let state = consumers.states.get_mut(&state_key(key));
            Ok(state.map(|state| state.paused_at = None).is_some())
        })
    }

    fn stored_consumer(&mut self, key: ConsumerKey<'_>) -> Result<Option<ConsumerRow>, Error> {
        Ok(self.consumers.read(|consumers| {
            consumers
                .states
                .get(&state_key(key))
                .map(|state| ConsumerRow {
                    cursor: state.place.cursor,
                    anchor: state.place.anchor,
                    lease_owner: state.held.as_ref().map(|held| held.owner.clone()),
                    lease_epoch: state.epoch,
                    lease_expires_at: state.held.as_ref().map(|held| held.expires_at),
                    paused_at: state.paused_at,
                    cursor_moved_at: state.cursor_moved_at,
                    work: state.work,
                    suspect_until: state.suspect_until,
                    first_redriven: state.first_in(FailureState::Redriven),
                    first_final: state.first_in(FailureState::Final),
                    identity: state.identity.clone(),
                    now: Utc::now(),
                })
        }))
    }
}
