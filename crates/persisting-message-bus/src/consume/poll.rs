//! What a consumer reads of its topics and of its rows before it takes the lease.

use crate::consume::consumer::MessageConsumer;
use crate::consume::recognise::check_place;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::position::Position;
use crate::store::consumer_state::{ConsumerRow, MessageConsumerState};
use crate::store::event_set::Types;
use crate::store::key::ConsumerKey;
use crate::store::place::MessageAt;
use crate::store::source::MessageSource;

/// The heads and the consumer's rows, in the order of the topics.
#[derive(Debug)]
pub(super) struct Poll {
    /// The message up to which each topic is read.
    pub(super) heads: Vec<MessageAt>,
    pub(super) stored: Vec<Option<ConsumerRow>>,
    /// Whether a row must be changed before the consumer is caught up, because the event set has
    /// grown.
    pub(super) must_settle: bool,
    /// Topics that only a newer program of this name reads.
    pub(super) unread_topics: Vec<(String, Types)>,
}

impl Poll {
    pub(super) fn is_paused(&self) -> bool {
        let mut known = self.stored.iter().flatten();
        known.any(|stored| stored.paused_at.is_some())
    }

    /// Returns the first message of each topic that is not attempted again.
    pub(super) fn finals(&self) -> Vec<Option<Position>> {
        let rows = self.stored.iter();
        rows.map(|stored| stored.as_ref()?.first_final).collect()
    }

    /// Returns whether the consumer has never moved its cursor on a topic.
    pub(super) fn never_ran_on(&self, topic: usize) -> bool {
        let stored = self.stored.get(topic).and_then(Option::as_ref);
        stored.is_none_or(|stored| stored.cursor.is_none() && stored.cursor_moved_at.is_none())
    }

    /// Fails if another holder has an unexpired lease. So a standby does not write or
    /// wait.
    pub(super) fn check_holders<S: EventSet, H>(
        &self,
        consumer: &MessageConsumer<S, H>,
    ) -> Result<(), Error> {
        for (reader, stored) in consumer.topics.iter().zip(&self.stored) {
            if let Some(stored) = stored
                && let Some(owner) = &stored.lease_owner
                && *owner != consumer.owner
                && stored.lease_expires_at > Some(stored.now)
            {
                let request = consumer.request(reader.topic);
                let (owner, expires_at) = (Some(owner.clone()), stored.lease_expires_at);
                let held = Error::requested_lease_held(&request, owner, expires_at, stored.now);
                return Err(held);
            }
        }
        Ok(())
    }
}

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Reads the heads and the consumer's rows. Heads that are read before the lease is taken
    /// remain valid, because a range that is complete stays complete.
    ///
    /// Reading the rows needs no lease, because a consumer that has nothing to do writes nothing.
    pub(super) fn poll<B>(&mut self, bus: &mut B) -> Result<Poll, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        let heads = self.heads(bus)?;
        let rows = self.topics.iter();
        let rows = rows.map(|reader| bus.stored_consumer(self.key(reader.topic)));
        let stored = rows.collect::<Result<_, _>>()?;
        Ok(Poll {
            heads,
            stored,
            must_settle: false,
            unread_topics: Vec::new(),
        })
    }

    /// Returns the message up to which each topic is read. Messages of several topics come in one
    /// order, so the lowest high-water mark limits all topics.
    fn heads<B>(&mut self, bus: &mut B) -> Result<Vec<MessageAt>, Error>
    where
        B: MessageSource + ?Sized,
    {
        let marks = self
            .topics
            .iter_mut()
            .map(|reader| reader.high_water_mark(bus));
        let high_water_mark = marks.reduce(|one, other| Ok(one?.min(other?)));
        let high_water_mark = high_water_mark.unwrap_or(Ok(Position::START))?;
        let heads = self
            .topics
            .iter()
            .map(|reader| bus.head(reader.topic, high_water_mark));
        heads.collect()
    }

    pub(super) fn key<'a>(&'a self, topic: &'a str) -> ConsumerKey<'a> {
        ConsumerKey {
            consumer: &self.name,
            topic,
        }
    }

    /// Checks the cursors. Each page checks them again: they can move before the lease is taken.
    pub(super) fn is_caught_up<B>(&self, bus: &mut B, poll: &Poll) -> Result<bool, Error>
    where
        B: MessageSource + ?Sized,
    {
        for ((reader, stored), head) in self.topics.iter().zip(&poll.stored).zip(&poll.heads) {
            let place = stored.as_ref().map(ConsumerRow::place).unwrap_or_default();
            check_place(bus, reader.topic, place, *head)?;
            if place.position() < head.position {
                return Ok(false);
            }
        }
        Ok(!poll.must_settle && !self.must_start(poll))
    }
}
