//! The lease holder that a standby waits for.

use std::time::{Duration, Instant};

use tracing::info;

use crate::error::Error;

/// The lease holder, as last observed.
#[derive(Default)]
pub(super) struct Holder {
    owner: String,
    expires_at: String,
    /// When that expiry was first observed.
    since: Option<Instant>,
    is_told: bool,
}

impl Holder {
    /// Logs the lease holder and the expiry once. Logs them again when that holder has not renewed
    /// its lease for half of its duration, as after a crash. A holder at work renews it more often.
    pub(super) fn tell(
        &mut self,
        consumer: &str,
        error: &Error,
        lease_duration: Duration,
        now: Instant,
    ) {
        if self.has_news(error, lease_duration, now) {
            info!(
                messaging.consumer.group.name = consumer,
                holder = %error,
                "standby waits for the lease holder"
            );
        }
    }

    fn has_news(&mut self, error: &Error, lease_duration: Duration, now: Instant) -> bool {
        let Some((owner, expires_at)) = error.holder() else {
            return false;
        };
        let is_new = self.owner != owner;
        if is_new || self.expires_at != expires_at {
            *self = Self {
                owner: owner.to_owned(),
                expires_at: expires_at.to_owned(),
                since: Some(now),
                is_told: false,
            };
            return is_new;
        }
        let silent_for = self.since.map_or(Duration::ZERO, |since| now - since);
        let is_silent = !self.is_told && silent_for >= lease_duration / 2;
        self.is_told |= is_silent;
        is_silent
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::store::lease::LeaseRequest;

    const LEASE: Duration = Duration::from_secs(30);

    fn held_by(owner: &str, expires_at: i64) -> Error {
        let request = LeaseRequest {
            consumer: "mailer",
            topic: "orders",
            owner: "me",
            duration: LEASE,
            identity: Default::default(),
        };
        let expires_at = DateTime::<Utc>::from_timestamp(expires_at, 0);
        Error::lease_held(request.key(), Some(owner.to_owned()), expires_at)
    }

    #[test]
    fn a_holder_at_work_is_told_of_once_and_one_that_is_silent_again() {
        let start = Instant::now();
        let mut holder = Holder::default();
        let mut news = |owner: &str, expires_at, seconds| {
            let now = start + Duration::from_secs(seconds);
            holder.has_news(&held_by(owner, expires_at), LEASE, now)
        };
        assert!(news("a", 30, 0));
        for second in 1..100 {
            // The holder renews its lease every 10 seconds.
            assert!(!news("a", 30 + second / 10 * 10, second as u64));
        }
        assert!(!news("a", 130, 100));
        assert!(!news("a", 130, 114));
        assert!(news("a", 130, 115));
        assert!(!news("a", 130, 128));
        assert!(news("b", 160, 130));
    }
}
