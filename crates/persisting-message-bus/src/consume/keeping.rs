//! How a holder stores its cursors, and keeps or releases its leases.

use std::time::{Duration, Instant};

use crate::consume::deadline::Deadline;
use crate::consume::leases::{LeaseDisposition, Leases, store_interval};
use crate::consume::page::Page;
use crate::error::Error;
use crate::store::consumer_state::{CursorUpdate, MessageConsumerState};
use crate::store::lease::Lease;
use crate::store::place::Place;

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

    /// Does what `keep` does if it is due. Returns the error of an answer that came too late.
    pub(super) fn keep_if_due<S, B>(
        &self,
        bus: &mut B,
        page: &Page<S>,
        handled: usize,
        due: &mut Deadline,
    ) -> Result<Option<Error>, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        if !due.has_passed() {
            return Ok(None);
        }
        let asked = Instant::now();
        *due = Deadline::after(self.store_interval());
        self.keep(bus, page, handled)?;
        Ok(self.answered_late(asked))
    }

    /// Returns the error of an answer that took longer than the leases last: another holder may have taken
    /// them since. A lease that lasts no time at all can be
    /// taken at any moment, on purpose.
    pub(super) fn answered_late(&self, asked: Instant) -> Option<Error> {
        let took = asked.elapsed();
        if self.duration.is_zero() || took < self.duration {
            return None;
        }
        let doing = format!("renewing the lease on {}", self.topics());
        let problem = format!(
            "the answer took {:.1} s and the lease lasts {:.1} s, so another holder may have taken it: make \
             `lease_duration` longer, or find out why the database is slow",
            took.as_secs_f32(),
            self.duration.as_secs_f32()
        );
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
