//! The work that an earlier holder of the consumer's lease left when its process ended.

use tracing::warn;

use crate::consume::consumer::MessageConsumer;
use crate::consume::leases::Leases;
use crate::message::topic::EventSet;
use crate::store::consumer_state::ConsumerRow;
use crate::store::work::{Work, WorkMessages};

/// Whether messages must be tried one at a time, with no other consumer at work in the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suspicion {
    None,
    /// An earlier holder ended without releasing its lease while it handled a page.
    Page,
    /// An earlier holder handled a redriven message, or messages of its page must still be tried.
    Other,
}

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Returns the suspicion that the consumer's rows show before their lease is taken.
    pub(super) fn suspicion(&self, stored: &[Option<ConsumerRow>]) -> Suspicion {
        let of_others = |stored: &&ConsumerRow| stored.lease_owner.as_ref() != Some(&self.owner);
        let mut suspicion = Suspicion::None;
        for stored in stored.iter().flatten() {
            let left = stored.work.filter(|_| of_others(&stored));
            match left.map(|left| left.messages) {
                Some(WorkMessages::Page) => return Suspicion::Page,
                Some(WorkMessages::Redriven(_)) => suspicion = Suspicion::Other,
                None if stored.suspect_until > stored.cursor => suspicion = Suspicion::Other,
                None => {}
            }
        }
        suspicion
    }

    /// Warns that the messages of an earlier holder are handled again.
    pub(super) fn warn_of_what_was_left(&self, leases: &Leases, left: Work) {
        warn!(
            messaging.consumer.group.name = self.name,
            cursor = leases.cursor().get(),
            committed = left.begun,
            "another holder ended without releasing its lease while it handled messages after the \
             cursor; this consumer handles them again, one at a time. If committed is true, a \
             statement of the handler committed the transaction without the cursor, so effects \
             are repeated"
        );
    }
}
