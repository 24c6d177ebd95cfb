//! Errors about a lease, and about the work that is noted under it.

use chrono::{DateTime, Utc};

use crate::error::Error;
use crate::error::kind::BoxError;
use crate::error::kind::Kind;
use crate::position::Position;
use crate::store::failures::FailedMessage;
use crate::store::lease::{Lease, LeaseRequest};

/// For backends.
impl Error {
    /// Creates the error that another owner holds the lease. `expires_at` is by the state's clock.
    #[must_use]
    pub fn lease_held(
        request: &LeaseRequest<'_>,
        owner: Option<String>,
        expires_at: Option<DateTime<Utc>>,
    ) -> Self {
        let or_unknown = "unknown".to_owned();
        Self::from(Kind::LeaseHeld {
            topic: request.topic.to_owned(),
            owner: owner.unwrap_or_else(|| or_unknown.clone()),
            expires_at: expires_at.map_or(or_unknown, |time| time.to_rfc3339()),
        })
        .of_consumer(request.consumer)
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
