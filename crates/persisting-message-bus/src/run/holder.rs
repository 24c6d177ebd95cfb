//! The lease holder that a standby waits for.

use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::error::Error;

/// The lease holder, as last observed.
#[derive(Default)]
pub(super) struct Holder {
    owner: String,
    expires_at: String,
    /// When that expiry was first observed.
    since: Option<Instant>,
    /// The last news of that expiry.
    told: Option<News>,
}

/// News of a lease holder, in the order in which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum News {
    /// It has taken the lease.
    New,
    /// It has not renewed the lease for half of the lease duration, as after a crash. A holder at
    /// work renews it more often.
    Silent,
    /// It has not renewed the lease for the whole lease duration, by the clock of this process, but
    /// the lease lasts on. The clock of the database was put back, or the holder has a longer lease
    /// duration.
    Stuck,
}

impl Holder {
    /// Logs the news of a lease holder, each once.
    pub(super) fn tell(
        &mut self,
        consumer: &str,
        error: &Error,
        lease_duration: Duration,
        now: Instant,
    ) {
        let late = error.time_left().is_some_and(|time_left| time_left.is_late);
        match self.news(error, lease_duration, now) {
            None => {}
            Some(News::Stuck) => warn_of_stuck(consumer, error),
            Some(_) if late => warn!(
                messaging.consumer.group.name = consumer,
                holder = %error,
                "standby waits for a lease that ends unusually late"
            ),
            Some(_) => info!(
                messaging.consumer.group.name = consumer,
                holder = %error,
                "standby waits for the lease holder"
            ),
        }
    }

    /// Logs only that a lease lasts on although its holder does not renew it, once.
    pub(super) fn tell_if_stuck(
        &mut self,
        consumer: &str,
        error: &Error,
        lease_duration: Duration,
        now: Instant,
    ) {
        if self.news(error, lease_duration, now) == Some(News::Stuck) {
            warn_of_stuck(consumer, error);
        }
    }

    fn news(&mut self, error: &Error, lease_duration: Duration, now: Instant) -> Option<News> {
        let (owner, expires_at) = error.holder()?;
        let is_new = self.owner != owner;
        if is_new || self.expires_at != expires_at {
            *self = Self {
                owner: owner.to_owned(),
                expires_at: expires_at.to_owned(),
                since: Some(now),
                told: is_new.then_some(News::New),
            };
            return self.told;
        }
        let silent_for = self.since.map_or(Duration::ZERO, |since| now - since);
        let lasts = error.time_left().is_some_and(|left| !left.left.is_zero());
        // A lease that was first observed when it was written has expired by then.
        let news = if lasts && silent_for > lease_duration.saturating_add(lease_duration / 2) {
            News::Stuck
        } else if silent_for >= lease_duration / 2 {
            News::Silent
        } else {
            return None;
        };
        (self.told < Some(news)).then(|| *self.told.insert(news))
    }
}

fn warn_of_stuck(consumer: &str, error: &Error) {
    warn!(
        messaging.consumer.group.name = consumer,
        holder = %error,
        "lease lasts on although its holder does not renew it; if the holder has ended, call \
         operate::end_lease"
    );
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::store::lease::LeaseRequest;

    const LEASE: Duration = Duration::from_secs(30);

    /// Returns the error that a holder's lease lasts until some second, in the second `now`.
    fn held_by(owner: &str, expires_at: i64, now: i64) -> Error {
        let request = LeaseRequest {
            consumer: "mailer",
            topic: "orders",
            segment: None,
            owner: "me",
            duration: LEASE,
            identity: Default::default(),
            hands_out: false,
        };
        let time = |second| DateTime::<Utc>::from_timestamp(second, 0).unwrap_or_default();
        let (expires_at, now) = (Some(time(expires_at)), time(now));
        Error::requested_lease_held(&request, Some(owner.to_owned()), expires_at, now)
    }

    /// Returns the news of a holder in the second `now`, by both clocks.
    fn news(
        holder: &mut Holder,
        start: Instant,
        owner: &str,
        expires: i64,
        now: i64,
    ) -> Option<News> {
        let error = held_by(owner, expires, now);
        holder.news(
            &error,
            LEASE,
            start + Duration::from_secs(now.unsigned_abs()),
        )
    }

    #[test]
    fn a_holder_at_work_is_told_of_once_and_one_that_is_silent_again() {
        let (start, mut holder) = (Instant::now(), Holder::default());
        let mut news = |owner, expires, now| news(&mut holder, start, owner, expires, now);
        assert_eq!(news("a", 30, 0), Some(News::New));
        for second in 1..100 {
            // The holder renews its lease every 10 seconds.
            assert_eq!(news("a", 30 + second / 10 * 10, second), None);
        }
        assert_eq!(news("a", 130, 100), None);
        assert_eq!(news("a", 130, 114), None);
        assert_eq!(news("a", 130, 115), Some(News::Silent));
        assert_eq!(news("a", 130, 128), None);
        assert_eq!(news("b", 160, 130), Some(News::New));
    }

    #[test]
    fn a_lease_that_lasts_longer_than_its_duration_is_told_of_once() {
        let (start, mut holder) = (Instant::now(), Holder::default());
        let mut news = |expires, now| news(&mut holder, start, "a", expires, now);
        assert_eq!(news(1_000, 0), Some(News::New));
        assert_eq!(news(1_000, 15), Some(News::Silent));
        assert_eq!(news(1_000, 45), None);
        assert_eq!(news(1_000, 46), Some(News::Stuck));
        assert_eq!(news(1_000, 100), None);
        // The holder is at work after all.
        assert_eq!(news(1_030, 101), None);
    }

    #[test]
    fn a_long_transaction_of_a_holder_is_no_lease_that_lasts_too_long() {
        let (start, mut holder) = (Instant::now(), Holder::default());
        let mut news = |now| news(&mut holder, start, "a", 30, now);
        assert_eq!(news(0), Some(News::New));
        assert_eq!(news(20), Some(News::Silent));
        // The lease has expired, but the holder's transaction is open.
        assert_eq!(news(100), None);
    }
}
