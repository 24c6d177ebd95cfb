use tracing::info;

use crate::consume::consumer::MessageConsumer;
use crate::consume::moving::{Move, MoveTo, Rows};
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::event_set::EventSetRecord;
use crate::store::lease::Lease;
use crate::store::place::Place;
use crate::store::source::MessageSource;
use crate::store::transactions::TransactionControl;

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Stores that this consumer wants what its program reads, and nothing else. The cursor stays.
    ///
    /// A program that reads less than an earlier one of the same name waits before messages of the
    /// other types, because the earlier program could come back. Call this if it does not: after a
    /// roll-back, or if the consumer does not want these types any more.
    /// [`stop_wanting`](crate::operate::stop_wanting) does the same for one type, without the
    /// program.
    ///
    /// ```
    /// use persisting_message_bus::memory::InMemoryMessageBus;
    /// use persisting_message_bus::{EventSet, MessageConsumer, MessageDispatcher, Topic};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Placed {}
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Cancelled {}
    ///
    /// #[derive(Topic)]
    /// #[topic(name = "orders")]
    /// enum Orders { Placed(Placed), Cancelled(Cancelled) }
    ///
    /// #[derive(EventSet)]
    /// #[event_set(topic = Orders)]
    /// enum Mails { Placed(Placed) }
    ///
    /// let mut bus = InMemoryMessageBus::default();
    /// let orders = MessageDispatcher::<Orders>::new();
    /// orders.dispatch(&mut bus, &Placed {})?;
    /// let mut wide = MessageConsumer::<Orders>::external("mailer", |_| Ok(()));
    /// assert_eq!(wide.handle_new_messages(&mut bus)?, 1);
    ///
    /// orders.dispatch(&mut bus, &Cancelled {})?;
    /// orders.dispatch(&mut bus, &Placed {})?;
    /// let mut narrow = MessageConsumer::<Mails>::external("mailer", |_| Ok(()));
    /// assert!(narrow.handle_new_messages(&mut bus).unwrap_err().is_unknown_message());
    /// narrow.narrow_event_set(&mut bus)?;
    /// assert_eq!(narrow.handle_new_messages(&mut bus)?, 1);
    /// # Ok::<(), persisting_message_bus::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`Error::is_lease_held`]: another holder of the same name holds the lease. Nothing was
    ///   changed.
    /// - [`Error::is_event_set_conflict`]: this program reads a type that the stored event set does
    ///   not have. Nothing was changed.
    /// - The consumer is divided into segments: call
    ///   [`ParallelConsumer::narrow_event_set`](crate::ParallelConsumer::narrow_event_set) instead.
    /// - When the bus cannot be read or written.
    pub fn narrow_event_set<B>(&mut self, bus: &mut B) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + TransactionControl,
    {
        self.narrow_rows(bus, Rows::Whole)
    }

    pub(super) fn narrow_rows<B>(&mut self, bus: &mut B, rows: Rows) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + TransactionControl,
    {
        let narrowed = self.move_rows(bus, rows, |consumer, _, index, lease| {
            consumer.compare(index, &lease.identity, lease.place())?;
            Ok(Move {
                event_set: consumer.event_set.text.clone(),
                to: MoveTo::SameCursor(own_place(lease)),
            })
        });
        narrowed.map_err(|error| error.of_consumer(&self.name))?;
        self.memory.waiting = None;
        info!(
            messaging.consumer.group.name = self.name,
            event_set = %self.event_set.record,
            "event set narrowed"
        );
        Ok(())
    }
}

/// Returns the place of the consumer, or the place to which it returns after a replay of added
/// types.
fn own_place(lease: &Lease) -> Place {
    let text = lease.identity.event_set.as_deref();
    let record = text.and_then(EventSetRecord::from_stored);
    let backfill = record.and_then(|record| record.backfill);
    backfill.map_or(lease.place(), |backfill| backfill.end())
}
