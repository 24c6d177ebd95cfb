//! An event set that has grown: what happens to earlier messages of the added types.

use tracing::info;

use crate::consume::consumer::MessageConsumer;
use crate::consume::identity::Standing;
use crate::consume::leases::Leases;
use crate::consume::on_added::OnAdded;
use crate::consume::recognise::check_page;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::store::consumer_state::{CursorUpdate, MessageConsumerState};
use crate::store::event_set::{Backfill, EventSetRecord, Relation, Types};
use crate::store::lease::Lease;
use crate::store::place::Place;
use crate::store::source::MessageSource;

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Stores that the event set has grown, and moves the cursors as [`OnAdded`] says.
    ///
    /// Each row is changed on its own. If this is interrupted, the rows that still store the former
    /// event set are changed the next time. Rows of added topics come first, because they have no
    /// former event set.
    pub(super) fn settle_growth<B>(
        &mut self,
        bus: &mut B,
        leases: &mut Leases,
        standings: &mut [Standing],
    ) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        let has_grown =
            |standing: &Standing| matches!(standing, Standing::Compared(Relation::Grown, _));
        if !standings.iter().any(has_grown) {
            return Ok(());
        }
        for (index, lease) in leases.leases.iter_mut().enumerate() {
            if !has_grown(&standings[index]) && lease.cursor.is_none() {
                self.start_added_topic(bus, index, lease)?;
            }
        }
        for (index, lease) in leases.leases.iter_mut().enumerate() {
            if let Standing::Compared(Relation::Grown, record) = &standings[index]
                && record.backfill.is_none()
            {
                self.grow(bus, lease, record)?;
                lease.left = lease.left.map(|left| left.alone(false));
                standings[index] = self.settle_backfill(bus, index, lease)?;
            }
        }
        if !standings.iter().any(has_grown) {
            self.tell_of_growth();
        }
        Ok(())
    }

    fn tell_of_growth(&self) {
        info!(
            messaging.consumer.group.name = self.name,
            event_set = %self.event_set.record,
            on_added = ?self.settings.on_added,
            "event set of the consumer has grown"
        );
    }

    fn start_added_topic<B>(
        &mut self,
        bus: &mut B,
        index: usize,
        lease: &mut Lease,
    ) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        let place = match self.settings.on_added {
            Some(OnAdded::FromNow) => self.topics[index].end(bus)?.place_after(Place::default()),
            Some(OnAdded::Replay) => Place::BEFORE_ALL,
            // No topic has left the start, so the consumer starts on all of them.
            None => return Ok(()),
        };
        self.move_to(bus, lease, place)
    }

    fn grow<B>(&self, bus: &mut B, lease: &mut Lease, before: &EventSetRecord) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        let own = &self.event_set;
        let [now, before] = [&own.record, before].map(|record| record.topics.get(&lease.topic));
        let added = now.zip(before).map(|(now, before)| now.added_to(before));
        let added = added.map(Types::without_unknown);
        let added = added.filter(|added| !added.is_empty());
        let (Some(OnAdded::Replay), Some(types), Some(_)) =
            (self.settings.on_added, added, lease.cursor)
        else {
            return self.store_event_set(bus, lease, &own.text);
        };
        // The cursor leaves its anchor for a while, so the source is recognised before.
        check_page(bus, &lease.topic, lease.place(), None)?;
        let backfill = Backfill::up_to(lease.place(), types);
        let record = EventSetRecord {
            backfill: Some(backfill),
            ..own.record.clone()
        };
        self.store_event_set(bus, lease, &record.to_stored())
    }

    /// Begins or ends the handling of earlier messages, and compares the row with what this program
    /// reads.
    ///
    /// The row says what is handled earlier before the cursor moves to the start, and that this has
    /// begun after that. So the cursor is not lost, wherever this is interrupted.
    pub(super) fn settle_backfill<B>(
        &self,
        bus: &mut B,
        index: usize,
        lease: &mut Lease,
    ) -> Result<Standing, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        loop {
            let standing = self.compare(index, &lease.identity, lease.place())?;
            let Standing::Compared(_, record) = &standing else {
                return Ok(standing);
            };
            let Some(backfill) = &record.backfill else {
                return Ok(standing);
            };
            let mut next = record.clone();
            let has_ended = lease.place().position() >= backfill.until();
            // Without types, they are not wanted any more.
            if backfill.types.is_empty() || (backfill.has_begun && has_ended) {
                self.move_to(bus, lease, backfill.end())?;
                next.backfill = None;
            } else if !backfill.has_begun {
                self.move_to(bus, lease, Place::BEFORE_ALL)?;
                next.backfill = Some(Backfill {
                    has_begun: true,
                    ..backfill.clone()
                });
            } else {
                return Ok(standing);
            }
            // Other messages come next than those of a holder that has died.
            lease.left = lease.left.map(|left| left.alone(false));
            self.store_event_set(bus, lease, &next.to_stored())?;
        }
    }

    /// Moves the cursor under the lease.
    pub(super) fn move_to<B>(
        &self,
        bus: &mut B,
        lease: &mut Lease,
        place: Place,
    ) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let extend_lease = Some(self.settings.lease_duration);
        bus.store_cursor(
            lease,
            &CursorUpdate {
                place,
                extend_lease,
            },
        )?;
        (lease.cursor, lease.anchor) = (place.cursor, place.anchor);
        Ok(())
    }
}
