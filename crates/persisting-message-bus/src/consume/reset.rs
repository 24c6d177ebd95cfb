use chrono::{DateTime, Utc};
use tracing::info;

use crate::consume::consumer::MessageConsumer;
use crate::consume::topic_reader::TopicReader;
use crate::error::Error;
use crate::message::name;
use crate::message::topic::EventSet;
use crate::position::Position;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::source::MessageSource;
use crate::store::transactions::TransactionControl;

/// The place where a consumer continues after a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetTo {
    /// Before all messages, as if the consumer had never run: the before-replay hook is called
    /// again.
    Start,
    /// After the messages that are there now.
    End,
    /// After the message at this position.
    Position(Position),
    /// Before the first message that was recorded at this time or later, or after all messages if
    /// there is none. The topic is read up to there.
    Time(DateTime<Utc>),
}

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Moves the cursor, on every topic that the consumer reads or on none. The next
    /// [`handle_page`](Self::handle_page) continues from there. Messages that the consumer has
    /// handled before are replays ([`Message::is_replay`](crate::Message::is_replay)). Parked
    /// messages that come again are no longer parked.
    ///
    /// ```
    /// use persisting_message_bus::memory::InMemoryMessageBus;
    /// use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, ResetTo, Topic};
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
    /// consumer.reset(&mut bus, ResetTo::Start)?;
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
    /// - [`Error::is_retryable`]: publishers had transactions in flight all the time, so the end of
    ///   the topic is unknown. Nothing was moved.
    /// - When the bus cannot be read or written.
    pub fn reset<B>(&mut self, bus: &mut B, to: ResetTo) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + TransactionControl,
    {
        self.reset_topics(bus, to)
            .map_err(|error| error.of_consumer(&self.name))?;
        info!(messaging.consumer.group.name = self.name, to = ?to, "consumer reset");
        Ok(())
    }

    fn reset_topics<B>(&mut self, bus: &mut B, to: ResetTo) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + TransactionControl,
    {
        name::validate("consumer", &self.name)?;
        let mut leases = self.acquire(bus)?;
        let cursors = self.topics.iter_mut();
        let cursors = cursors.map(|reader| cursor_for(bus, reader, to));
        let moved = cursors.collect::<Result<Vec<_>, _>>().and_then(|cursors| {
            bus.in_transaction(|bus| {
                let mut moves = leases.leases.iter().zip(cursors);
                moves.try_for_each(|(lease, cursor)| bus.reset(lease, cursor))
            })
        });
        match (moved, leases.release(bus)) {
            (Err(error), Err(second)) => Err(error.followed_by(second)),
            (moved, released) => moved.and(released),
        }
    }
}

fn cursor_for<B>(
    bus: &mut B,
    reader: &mut TopicReader,
    to: ResetTo,
) -> Result<Option<Position>, Error>
where
    B: MessageSource + ?Sized,
{
    match to {
        ResetTo::Start => Ok(None),
        ResetTo::End => reader.end(bus).map(Some),
        ResetTo::Time(time) => reader.position_before(bus, time).map(Some),
        ResetTo::Position(position) => {
            let last = bus.last_position()?;
            if (Position::START..=last).contains(&position) {
                Ok(Some(position))
            } else {
                Err(Error::broken_cursor(reader.topic, position, last))
            }
        }
    }
}
