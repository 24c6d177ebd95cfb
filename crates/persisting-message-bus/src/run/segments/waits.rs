//! Logs what a consumer that is divided waits for, if that lasts.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tracing::warn;

use crate::consume::consumer::MessageConsumer;
use crate::consume::segments::look::Look;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::run::holder::Holder;

/// The interval at which the log tells again what a change of the number of segments waits for.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// What was logged, and what is observed.
#[derive(Default)]
pub(super) struct Waits {
    /// The process that divides the consumer.
    divides: Holder,
    /// The other holders of segments.
    holders: HashMap<u16, Holder>,
    /// Since when a change of the number of segments waits, or when that was told.
    change: Option<Instant>,
}

impl Waits {
    /// Another process divides the consumer.
    pub(super) fn for_division<S: EventSet, H>(
        &mut self,
        consumer: &MessageConsumer<S, H>,
        held: &Error,
    ) {
        let (_, lease_duration) = consumer.held_leases();
        let now = Instant::now();
        self.divides
            .tell(consumer.name(), held, lease_duration, now);
    }

    /// A change of the number of segments cannot be completed now.
    pub(super) fn for_change<S: EventSet, H>(
        &mut self,
        consumer: &MessageConsumer<S, H>,
        what: &str,
    ) {
        let since = *self.change.get_or_insert_with(Instant::now);
        if since.elapsed() >= TELL_AGAIN {
            self.change = Some(Instant::now());
            warn!(
                messaging.consumer.group.name = consumer.name(),
                waits = what,
                "number of segments still changes"
            );
        }
    }

    /// No change waits.
    pub(super) fn for_no_change(&mut self) {
        self.change = None;
    }

    /// Segments are held by others. That is usual, unless a lease lasts on without being renewed.
    pub(super) fn for_holders<S: EventSet, H>(
        &mut self,
        consumer: &MessageConsumer<S, H>,
        look: &Look,
    ) {
        let (_, lease_duration) = consumer.held_leases();
        for seen in &look.segments {
            if let Some(held) = consumer.held_by_another(seen) {
                let holder = self.holders.entry(seen.segment.number).or_default();
                holder.tell_if_stuck(consumer.name(), &held, lease_duration, look.begun);
            }
        }
    }
}
