//! How a holder stores its cursors, and keeps or releases its leases.

use std::time::{Duration, Instant};

use tracing::warn;

use crate::consume::deadline::Deadline;
use crate::consume::leases::{LeaseDisposition, Leases, store_interval};
use crate::consume::page::Page;
use crate::error::Error;
use crate::store::consumer_state::{CursorUpdate, MessageConsumerState};
use crate::store::lease::Lease;
use crate::store::place::Place;
use crate::store::work::Work;

/// The outcome of extending the leases if that is due.
#[derive(Debug)]
pub(super) enum Kept {
    NotDue,
    InTime,
    /// Another holder may have taken the leases before the answer came.
    Late(Error),
}

impl Leases {
    /// Stores the cursors after the first `handled` messages of the page.
    pub(super) fn store<S, B>(
        &self,
        bus: &mut B,
        page: &Page<S>,
        handled: usize,
        then: LeaseDisposition,
    ) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        // This includes topics without a message, because their leases must be held as long.
        let mut lost = Ok(());
        for (lease, (_, place)) in self.leases.iter().zip(page.places_after(handled)) {
            match self.store_one(bus, lease, place, then) {
                // Each topic has a lease of its own, and its messages are handled.
                Err(error) if error.is_lease_lost() => lost = lost.and(Err(error)),
                stored => stored?,
            }
        }
        lost
    }

    /// Does what `keep` does if it is due.
    pub(super) fn keep_if_due<S, B>(
        &self,
        bus: &mut B,
        page: &Page<S>,
        handled: usize,
        due: &mut Deadline,
    ) -> Result<Kept, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        self.in_time(due, || self.keep(bus, page, handled))
    }

    /// Extends the leases if that is due, before something that comes before the first message of a page.
    pub(super) fn extend_if_due<B>(&self, bus: &mut B, due: &mut Deadline) -> Result<Kept, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let work = self.work.unwrap_or(Work::PAGE);
        self.in_time(due, || self.note(bus, Some(work), self.duration))
    }

    /// Extends the leases if that is due, and finds out whether the answer came in time.
    fn in_time(
        &self,
        due: &mut Deadline,
        extend: impl FnOnce() -> Result<(), Error>,
    ) -> Result<Kept, Error> {
        if !due.has_passed() {
            return Ok(Kept::NotDue);
        }
        let asked = Instant::now();
        *due = Deadline::after(self.store_interval());
        extend()?;
        Ok(self.answered_late(asked).map_or(Kept::InTime, Kept::Late))
    }

    /// Returns the error of an answer that took longer than the leases last, and logs it: another holder may
    /// have taken them since. A lease that lasts no time at all can be taken at any moment, on purpose.
    pub(super) fn answered_late(&self, asked: Instant) -> Option<Error> {
        let (took, lasts) = (asked.elapsed(), self.duration);
        if lasts.is_zero() || took < lasts {
            return None;
        }
        let doing = format!("handing out a message under the lease on {}", self.topics());
        let problem = format!(
            "the database took {took:.1?} to answer and the lease lasts {lasts:.1?}, so another holder may have \
             taken it: make `lease_duration` longer, or find out why the database is slow"
        );
        warn!(messaging.consumer.group.name = self.consumer(), "{problem}");
        Some(Error::transient(doing, problem).of_consumer(self.consumer()))
    }

    /// Stores the cursors after the first `handled` messages of the page, and extends the leases. If no
    /// cursor moves, it only extends the leases, so that the time of the last progress stays.
    pub(super) fn keep<S, B>(
        &self,
        bus: &mut B,
        page: &Page<S>,
        handled: usize,
    ) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let moves = page
            .places_after(handled)
            .any(|(span, place)| place != span.start);
        if moves {
            self.store(bus, page, handled, LeaseDisposition::Extend)
        } else {
            self.note(bus, self.work, self.duration)
        }
    }

    /// Stores that the consumer has left the start.
    pub(super) fn leave_start<B>(&self, bus: &mut B) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let start = Place::BEFORE_ALL;
        let mut leases = self.leases.iter();
        leases.try_for_each(|lease| self.store_one(bus, lease, start, LeaseDisposition::Extend))
    }

    fn store_one<B>(
        &self,
        bus: &mut B,
        lease: &Lease,
        place: Place,
        then: LeaseDisposition,
    ) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let extend_lease = (then == LeaseDisposition::Extend).then_some(self.duration);
        bus.store_cursor(
            lease,
            &CursorUpdate {
                place,
                extend_lease,
            },
        )
    }

    /// Returns the interval at which a slow page stores its cursor.
    pub(super) fn store_interval(&self) -> Duration {
        store_interval(self.duration)
    }
}
