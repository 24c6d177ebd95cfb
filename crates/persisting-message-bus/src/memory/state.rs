//! What the consumer state in memory contains.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::error::Error;
use crate::position::Position;
use crate::store::consumer_state::{ConsumerRow, CursorUpdate, NoteWork};
use crate::store::failures::{FailedMessage, FailureState};
use crate::store::identity::StoredIdentity;
use crate::store::key::ConsumerKey;
use crate::store::lease::{Lease, LeaseRequest};
use crate::store::part::SlotRange;
use crate::store::place::Place;
use crate::store::segment::Division;
use crate::store::work::Work;

/// The values that change together.
#[derive(Debug, Clone, Default)]
pub(super) struct Consumers {
    /// By consumer and topic.
    pub(super) states: HashMap<(String, String), State>,
    /// The segments of consumers that are divided, by the segment's name and the topic.
    pub(super) segments: HashMap<(String, String), State>,
    /// The time of receipt, by consumer, source and message id.
    pub(super) inbox: HashMap<[String; 3], DateTime<Utc>>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct State {
    /// How the consumer is divided.
    pub(super) division: Option<Division>,
    /// The name of the consumer, if this is a segment.
    pub(super) of_consumer: Option<String>,
    /// The slots of the segment.
    pub(super) slots: Option<SlotRange>,
    pub(super) place: Place,
    pub(super) identity: StoredIdentity,
    pub(super) epoch: i64,
    pub(super) held: Option<LeaseRow>,
    pub(super) replay_until: Option<Position>,
    pub(super) paused_at: Option<DateTime<Utc>>,
    pub(super) cursor_moved_at: Option<DateTime<Utc>>,
    pub(super) work: Option<Work>,
    pub(super) suspect_until: Option<Position>,
    pub(super) failures: BTreeMap<Position, FailedMessage>,
}

#[derive(Debug, Clone)]
pub(super) struct LeaseRow {
    owner: String,
    expires_at: DateTime<Utc>,
}

impl Consumers {
    pub(super) fn rename(&mut self, from: &str, to: &str) -> Result<bool, Error> {
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
        self.rename_segments(from, to)?;
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
    pub(super) fn check_free(&self, (consumer, topic): &(String, String)) -> Result<(), Error> {
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

    pub(super) fn is_held(&self, lease: &Lease) -> bool {
        let owner = self.held.as_ref().map(|held| held.owner.as_str());
        self.epoch == lease.epoch && owner == Some(&lease.owner)
    }

    /// Returns the row, as a database returns it.
    pub(super) fn to_row(&self) -> ConsumerRow {
        ConsumerRow {
            cursor: self.place.cursor,
            anchor: self.place.anchor,
            lease_owner: self.held.as_ref().map(|held| held.owner.clone()),
            lease_epoch: self.epoch,
            lease_expires_at: self.held.as_ref().map(|held| held.expires_at),
            paused_at: self.paused_at,
            cursor_moved_at: self.cursor_moved_at,
            work: self.work,
            suspect_until: self.suspect_until,
            first_redriven: self.first_in(FailureState::Redriven),
            first_final: self.first_in(FailureState::Final),
            identity: self.identity.clone(),
            division: self.division,
            now: Utc::now(),
        }
    }

    pub(super) fn take(&mut self, request: &LeaseRequest<'_>) -> Result<Lease, Error> {
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
        let left = self.work;
        if request.hands_out && left.is_none() {
            self.work = Some(Work::PAGE);
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
            segment: request.segment.cloned(),
            owner: request.owner.to_owned(),
            epoch: self.epoch,
            cursor: self.place.cursor,
            anchor: self.place.anchor,
            replay_until: self.replay_until,
            left,
            suspect_until: self.suspect_until,
            identity: self.identity.clone(),
        })
    }

    pub(super) fn note_work(&mut self, note: &NoteWork) {
        self.work = note.work;
        self.suspect_until = note.suspect_until;
        self.renew(note.extend_lease);
    }

    pub(super) fn give_back(&mut self) {
        self.held = None;
        self.work = None;
    }

    /// Ends the lease as if it expired now. Returns whether there is one.
    pub(super) fn end_lease(&mut self) -> bool {
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
