//! Errors about a lease, and about the work that is noted under it.

use std::fmt;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::error::Error;
use crate::error::kind::BoxError;
use crate::error::kind::{Kind, TimeLeft};
use crate::position::Position;
use crate::store::consumer_state::ConsumerRow;
use crate::store::event_set::EventSetRecord;
use crate::store::failures::FailedMessage;
use crate::store::key::ConsumerKey;
use crate::store::lease::{Lease, LeaseRequest, ends_late};
use crate::store::place::Anchor;

/// For backends.
impl Error {
    /// Creates the error that another owner holds the lease. `expires_at` is by the state's clock.
    #[must_use]
    pub fn lease_held(
        key: ConsumerKey<'_>,
        owner: Option<String>,
        expires_at: Option<DateTime<Utc>>,
    ) -> Self {
        let or_unknown = "unknown".to_owned();
        Self::from(Kind::LeaseHeld {
            topic: key.topic.to_owned(),
            owner: owner.unwrap_or_else(|| or_unknown.clone()),
            expires_at: expires_at.map_or(or_unknown, |time| time.to_rfc3339()),
            left: None,
        })
        .of_consumer(key.consumer)
    }

    /// Creates the error that another owner holds the lease that was requested. `now` is by the
    /// state's clock.
    #[must_use]
    pub fn requested_lease_held(
        request: &LeaseRequest<'_>,
        owner: Option<String>,
        expires_at: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Self {
        let mut error = Self::lease_held(request.key(), owner, expires_at);
        if let Some(expires_at) = expires_at {
            error.set_time_left(TimeLeft {
                left: (expires_at - now).to_std().unwrap_or_default(),
                is_late: ends_late(expires_at, now, request.duration),
            });
        }
        error
    }

    /// Returns the error that another owner holds an unexpired lease in a row, if one does.
    pub(crate) fn held_by_another(request: &LeaseRequest<'_>, row: &ConsumerRow) -> Option<Self> {
        let owner = row.lease_owner.as_ref();
        let owner = owner.filter(|owner| **owner != *request.owner)?.clone();
        let lasts = row.lease_expires_at > Some(row.now);
        lasts.then(|| {
            Self::requested_lease_held(request, Some(owner), row.lease_expires_at, row.now)
        })
    }

    /// Creates the error that another owner took the lease.
    #[must_use]
    pub fn lease_lost(lease: &Lease) -> Self {
        Self::from(Kind::LeaseLost {
            topic: lease.topic.clone(),
            owner: lease.owner.clone(),
            epoch: lease.epoch,
        })
        .of_consumer(&lease.consumer)
    }
}

impl Error {
    /// Creates the error that a lease cannot be renewed now, because its row is locked.
    #[cfg_attr(
        not(any(
            feature = "sqlite",
            feature = "postgres_backend",
            feature = "mysql_backend"
        )),
        expect(dead_code, reason = "only databases in SQL lock rows")
    )]
    pub(crate) fn lease_row_locked(
        lease: &Lease,
        expires_at: Option<DateTime<Utc>>,
        find_session: &str,
    ) -> Self {
        let doing = format!("renewing the lease on topic \"{}\"", lease.topic);
        let until = expires_at.map_or_else(String::new, |at| format!(" at {at}"));
        let problem = format!(
            "another transaction has locked its row, so the lease still ends{until}; if that transaction does \
             not end, end its session ({find_session})"
        );
        let segment = lease.segment.as_ref().map(|segment| segment.number);
        Self::transient(doing, problem)
            .of_consumer(&lease.consumer)
            .of_segment(segment)
    }

    /// Creates the error that a source does not have the message of an anchor.
    pub(crate) fn unrecognised(topic: &str, anchor: Anchor, found: Option<Uuid>) -> Self {
        Kind::Unrecognised {
            topic: topic.to_owned(),
            position: anchor.position,
            expected: anchor.message_id,
            found,
        }
        .into()
    }

    /// Creates the error of a page that was read from an older state than its topic's head.
    pub(crate) fn stale_page(topic: &str, after: Position, head: Position) -> Self {
        let topic = topic.to_owned();
        Kind::StalePage { topic, after, head }.into()
    }

    /// Creates the error of a consumer that cannot be renamed.
    pub(crate) fn name_taken(from: &str, to: &str) -> Self {
        let problem = format!("a consumer with the name \"{to}\" exists");
        Self::permanent("renaming the consumer", problem).of_consumer(from)
    }

    /// Creates the error of a message that is not parked.
    pub(crate) fn not_parked(
        key: ConsumerKey<'_>,
        position: Position,
        found: &'static str,
        next: &'static str,
    ) -> Self {
        let topic = key.topic.to_owned();
        Self::from(Kind::NotParked {
            topic,
            position,
            found,
            next,
        })
        .of_consumer(key.consumer)
    }

    pub(crate) fn other_source(topic: &str, stored: Option<&str>, found: Option<&str>) -> Self {
        Kind::OtherSource {
            topic: topic.to_owned(),
            stored: stored.map(str::to_owned),
            found: found.map(str::to_owned),
        }
        .into()
    }

    /// Creates the error of a consumer that reads something else than the row stores.
    pub(crate) fn other_event_set(stored: impl fmt::Display, own: &EventSetRecord) -> Self {
        let [stored, own] = [stored.to_string(), own.to_string()];
        Kind::OtherEventSet { stored, own }.into()
    }

    /// Creates the error of a consumer that reads more than the row stores.
    pub(crate) fn event_set_grew(stored: &EventSetRecord, own: &EventSetRecord) -> Self {
        let [stored, own] = [stored, own].map(EventSetRecord::to_string);
        Kind::EventSetGrew { stored, own }.into()
    }

    pub(crate) fn not_there(lease: &Lease, position: Position) -> Self {
        Kind::NotThere {
            topic: lease.topic.clone(),
            position,
        }
        .into()
    }

    /// Creates the error of a message that was recorded as final.
    pub(crate) fn noted_final(lease: &Lease, noted: FailedMessage) -> Self {
        Kind::Final {
            topic: lease.topic.clone(),
            position: noted.position,
            error: noted.error,
        }
        .into()
    }

    pub(crate) fn died_at(lease: &Lease, position: Position) -> Self {
        let topic = lease.topic.clone();
        Kind::DiedAgain { topic, position }.into()
    }

    pub(crate) fn counted(lease: &Lease, position: Position, cause: BoxError) -> Self {
        let topic = lease.topic.clone();
        Kind::Counted {
            topic,
            position,
            cause,
        }
        .into()
    }
}
