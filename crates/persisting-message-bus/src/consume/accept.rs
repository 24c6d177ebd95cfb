use std::collections::HashMap;
use std::collections::hash_map::Entry;

use tracing::info;

use crate::consume::consumer::MessageConsumer;
use crate::consume::moving::{Move, MoveTo, Rows};
use crate::consume::reset::place_at;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::position::Position;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::lease::Lease;
use crate::store::place::Place;
use crate::store::source::MessageSource;
use crate::store::transactions::TransactionControl;

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Accepts the source as it is now: the consumer continues after its cursor, although the
    /// message that it has passed last is not there any more, or the source has another name.
    ///
    /// Call this only if you know that no unhandled message is before the cursor, for example after
    /// a feed has moved to another address. Otherwise use [`reset`](Self::reset).
    ///
    /// ```
    /// use persisting_message_bus::memory::InMemoryMessageBus;
    /// use persisting_message_bus::{Message, MessageBus, MessageConsumer, MessageDispatcher, Topic};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct OrderPlaced {}
    ///
    /// #[derive(Topic)]
    /// #[topic(name = "orders")]
    /// enum Orders { OrderPlaced(OrderPlaced) }
    ///
    /// let (mut shop, reports) = (InMemoryMessageBus::default(), InMemoryMessageBus::default());
    /// MessageDispatcher::<Orders>::new().dispatch(&mut shop, &OrderPlaced {})?;
    /// let count = |_: &Message<Orders>| Ok(());
    /// let mut consumer = MessageConsumer::<Orders>::external("sales", count);
    /// let mut bus = MessageBus::new(shop.clone(), reports.clone()).source("shop");
    /// assert_eq!(consumer.handle_new_messages(&mut bus)?, 1);
    ///
    /// let mut renamed = MessageBus::new(shop, reports).source("web-shop");
    /// assert!(consumer.handle_new_messages(&mut renamed).unwrap_err().is_broken_cursor());
    /// consumer.accept_source(&mut renamed)?;
    /// assert_eq!(consumer.handle_new_messages(&mut renamed)?, 0);
    /// # Ok::<(), persisting_message_bus::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`Error::is_lease_held`]: another holder of the same name holds the lease. Nothing was
    ///   changed.
    /// - [`Error::is_broken_cursor`]: the cursor is after the last position of the source. Nothing
    ///   was changed.
    /// - The consumer is divided into segments: call
    ///   [`ParallelConsumer::accept_source`](crate::ParallelConsumer::accept_source) instead.
    /// - When the bus cannot be read or written.
    pub fn accept_source<B>(&mut self, bus: &mut B) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + TransactionControl,
    {
        self.accept_rows(bus, Rows::Whole)
    }

    pub(super) fn accept_rows<B>(&mut self, bus: &mut B, rows: Rows) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + TransactionControl,
    {
        // Most segments have the same cursor.
        let mut places = HashMap::new();
        let accepted = self.move_rows(bus, rows, |consumer, bus, index, lease| {
            let place = match places.entry((index, lease.cursor)) {
                Entry::Occupied(place) => *place.get(),
                Entry::Vacant(unknown) => *unknown.insert(same_cursor(bus, lease)?),
            };
            let stored = lease.identity.event_set.as_ref();
            Ok(Move {
                event_set: stored.unwrap_or(&consumer.event_set.text).clone(),
                to: MoveTo::SameCursor(place),
            })
        });
        accepted.map_err(|error| error.of_consumer(&self.name))?;
        info!(
            messaging.consumer.group.name = self.name,
            source = self.source,
            "source accepted"
        );
        Ok(())
    }
}

/// Returns the place of the same cursor in the source as it is now.
fn same_cursor<B>(bus: &mut B, lease: &Lease) -> Result<Place, Error>
where
    B: MessageSource + ?Sized,
{
    let Some(cursor) = lease.cursor else {
        return Ok(Place::default());
    };
    let last = bus.last_position()?;
    if !(Position::START..=last).contains(&cursor) {
        return Err(Error::broken_cursor(&lease.topic, cursor, last));
    }
    place_at(bus, &lease.topic, cursor)
}
