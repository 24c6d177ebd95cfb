use chrono::{DateTime, Utc};
use tracing::info;

use super::topic_reader::TopicReader;
use crate::{
    Error, EventSet, MessageConsumer, MessageConsumerState, MessageSource, Position, Transactions,
    name,
};

/// Where a consumer goes on after a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetTo {
    /// Before all messages, as if it had never run: the before-replay hook is called again.
    Start,
    /// Behind the messages that are there now.
    End,
    /// Behind the message at this position.
    Position(Position),
    /// Before the first message that was recorded at this time or later; behind all messages where there
    /// is none. The topic is read up to there.
    Time(DateTime<Utc>),
}

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Moves the cursor, on every topic that the consumer reads or on none. The next
    /// [`handle_new_messages`](Self::handle_new_messages) goes on from there, and what it has handled
    /// before is a replay ([`Message::is_replay`](crate::Message::is_replay)). Parked messages that come
    /// again are not parked any more.
    ///
    /// # Errors
    ///
    /// - [`Error::is_locked`]: a holder of the same name is at work. Nothing was moved.
    /// - [`Error::is_broken_cursor`]: the position is negative, or beyond the last one that was
    ///   handed out. Nothing was moved.
    /// - [`Error::is_retryable`]: publishers were at work all the time, so that the end could not be
    ///   told. Nothing was moved.
    /// - When the bus cannot be read or written.
    pub fn reset<B>(&mut self, bus: &mut B, to: ResetTo) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + Transactions,
    {
        self.reset_topics(bus, to)
            .map_err(|error| error.of_consumer(&self.name))?;
        info!(messaging.consumer.group.name = self.name, to = ?to, "reset a consumer");
        Ok(())
    }

    fn reset_topics<B>(&mut self, bus: &mut B, to: ResetTo) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + Transactions,
    {
        name::validate("consumer", &self.name)?;
        let leases = self.acquire(bus)?;
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
        ResetTo::Time(time) => reader.in_front_of(bus, time).map(Some),
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
