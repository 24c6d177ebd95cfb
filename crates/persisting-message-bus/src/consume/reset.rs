use std::collections::HashMap;
use std::collections::hash_map::Entry;

use tracing::info;

use crate::consume::consumer::MessageConsumer;
use crate::consume::moving::{Move, MoveTo, Rows};
use crate::consume::start_at::StartAt;
use crate::consume::topic_reader::TopicReader;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::position::Position;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::place::Place;
use crate::store::source::MessageSource;
use crate::store::transactions::TransactionControl;

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Moves the cursor, on every topic that the consumer reads or on none. The next
    /// [`handle_page`](Self::handle_page) continues from there. Messages that the consumer has
    /// handled before are replays ([`Message::is_replay`](crate::Message::is_replay)). Parked
    /// messages that come again are no longer parked.
    ///
    /// ```
    /// use persisting_message_bus::memory::InMemoryMessageBus;
    /// use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, StartAt, Topic};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct OrderPlaced {}
    ///
    /// #[derive(Topic)]
    /// #[topic(name = "orders")]
    /// enum Orders { OrderPlaced(OrderPlaced) }
    ///
    /// let mut bus = InMemoryMessageBus::default();
    /// MessageDispatcher::<Orders>::new().dispatch(&mut bus, &OrderPlaced {})?;
    ///
    /// let mut replays = 0;
    /// let count = |message: &Message<Orders>| {
    ///     replays += u32::from(message.is_replay());
    ///     Ok(())
    /// };
    /// let mut consumer = MessageConsumer::<Orders>::external("search-index", count);
    /// assert_eq!(consumer.handle_new_messages(&mut bus)?, 1);
    /// consumer.reset(&mut bus, StartAt::Start)?;
    /// assert_eq!(consumer.handle_new_messages(&mut bus)?, 1);
    /// drop(consumer);
    /// assert_eq!(replays, 1);
    /// # Ok::<(), persisting_message_bus::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`Error::is_lease_held`]: another holder of the same name holds the lease. Nothing was
    ///   moved.
    /// - [`Error::is_broken_cursor`]: the position is negative, or after the last one that was
    ///   assigned. Nothing was moved.
    /// - [`Error::is_event_set_conflict`]: the cursor belongs to a consumer with another event set.
    ///   Nothing was moved.
    /// - [`Error::is_retryable`]: publishers had transactions in flight all the time, so the end of
    ///   the topic is unknown. Nothing was moved.
    /// - The consumer is divided into segments: call
    ///   [`ParallelConsumer::reset`](crate::ParallelConsumer::reset) instead. Nothing was moved.
    /// - When the bus cannot be read or written.
    pub fn reset<B>(&mut self, bus: &mut B, to: StartAt) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + TransactionControl,
    {
        self.reset_rows(bus, to, Rows::Whole)
    }

    pub(super) fn reset_rows<B>(
        &mut self,
        bus: &mut B,
        to: StartAt,
        rows: Rows,
    ) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + TransactionControl,
    {
        // All segments of a topic move to one place.
        let mut places = HashMap::new();
        let moved = self.move_rows(bus, rows, |consumer, bus, index, lease| {
            let event_set = consumer.event_set_after_reset(lease)?;
            let place = match places.entry(index) {
                Entry::Occupied(place) => *place.get(),
                Entry::Vacant(unknown) => {
                    *unknown.insert(place_for(bus, &mut consumer.topics[index], to)?)
                }
            };
            Ok(Move {
                event_set,
                to: MoveTo::Again(place),
            })
        });
        moved.map_err(|error| error.of_consumer(&self.name))?;
        self.memory.waiting = None;
        info!(messaging.consumer.group.name = self.name, to = ?to, "consumer reset");
        Ok(())
    }
}

pub(super) fn place_for<B>(
    bus: &mut B,
    reader: &mut TopicReader,
    to: StartAt,
) -> Result<Place, Error>
where
    B: MessageSource + ?Sized,
{
    match to {
        StartAt::Start => Ok(Place::default()),
        StartAt::End => Ok(reader.end(bus)?.place_after(Place::default())),
        StartAt::Time(time) => {
            let position = reader.position_before(bus, time)?;
            place_at(bus, reader.topic, position)
        }
        StartAt::Position(position) => {
            let last = bus.last_position()?;
            if !(Position::START..=last).contains(&position) {
                return Err(Error::broken_cursor(reader.topic, position, last));
            }
            place_at(bus, reader.topic, position)
        }
    }
}

/// Returns the place after a position, at which there can be a message or none.
pub(super) fn place_at<B>(bus: &mut B, topic: &str, position: Position) -> Result<Place, Error>
where
    B: MessageSource + ?Sized,
{
    Ok(Place {
        cursor: Some(position),
        anchor: bus.head(topic, position)?.anchor(),
    })
}
