//! What a consumer reads of its rows and of its topics before it takes the lease.
//!
//! A consumer is idle most of the time, so it first asks whether a topic has a message after its
//! cursor at all. Only if there is one, it needs the high-water mark, which can be expensive.

use crate::consume::consumer::MessageConsumer;
use crate::consume::recognise::check_place;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::position::Position;
use crate::store::ahead::Ahead;
use crate::store::consumer_state::{ConsumerRow, MarkBeyond, MessageConsumerState};
use crate::store::event_set::Types;
use crate::store::key::ConsumerKey;
use crate::store::page_request::{PageRequest, TypeFilter};
use crate::store::part::Part;
use crate::store::place::MessageAt;
use crate::store::source::MessageSource;

/// The heads and the consumer's rows, in the order of the topics.
#[derive(Debug)]
pub(super) struct Poll {
    /// The message up to which each topic is read, or the last message at or before each cursor if
    /// no topic has messages after its cursor.
    pub(super) heads: Vec<MessageAt>,
    /// Whether the heads are at or below the high-water mark. Only then they limit pages: a cursor
    /// can be after the high-water mark, for example after a reset.
    has_high_water_mark: bool,
    /// The first messages of the only topic, if the source has read them with its head.
    pub(super) ahead: Option<Ahead>,
    pub(super) stored: Vec<Option<ConsumerRow>>,
    /// Whether a row must be changed before the consumer is caught up, because the event set has
    /// grown.
    pub(super) must_settle: bool,
    /// Topics that only a newer program of this name reads.
    pub(super) unread_topics: Vec<(String, Types)>,
}

impl Poll {
    /// Creates the result of a poll up to these heads.
    fn up_to(heads: Vec<MessageAt>, stored: Vec<Option<ConsumerRow>>) -> Self {
        Self {
            heads,
            has_high_water_mark: true,
            ahead: None,
            stored,
            must_settle: false,
            unread_topics: Vec::new(),
        }
    }

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
                && let Some(held) = Error::held_by_another(&consumer.request(reader.topic), stored)
            {
                return Err(held);
            }
        }
        Ok(())
    }
}

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Reads the consumer's rows and the heads. Both are read before the lease is taken. Heads remain
    /// valid, because a range that is complete stays complete. The cursor in a row can be moved until
    /// then, so each page reads it again.
    ///
    /// Reading the rows needs no lease, because a consumer that has nothing to do writes nothing.
    pub(super) fn poll<B>(&mut self, bus: &mut B) -> Result<Poll, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        let (stored, mark) = self.stored(bus)?;
        let cursors: Vec<_> = stored
            .iter()
            .map(|stored| stored.as_ref().map(ConsumerRow::place).unwrap_or_default())
            .map(|place| place.position())
            .collect();
        if let Some(ends) = &self.ends {
            return Ok(Poll::up_to(ends.heads.clone(), stored));
        }
        let high_water_mark = match mark {
            MarkBeyond::Asked(mark) if cursors == [self.memory.last_polled] => mark,
            _ => self.high_water_mark_beyond(bus, &cursors)?,
        };
        if let [cursor] = *cursors {
            self.memory.last_polled = cursor;
        }
        let (heads, ahead) = match high_water_mark {
            Some(high_water_mark) => self.heads_and_ahead(bus, &cursors, high_water_mark)?,
            None => {
                let topics = self.topics.iter().zip(cursors);
                let heads = topics.map(|(reader, cursor)| bus.head(reader.topic, cursor));
                (heads.collect::<Result<_, _>>()?, None)
            }
        };
        Ok(Poll {
            heads,
            has_high_water_mark: high_water_mark.is_some(),
            ahead,
            stored,
            must_settle: false,
            unread_topics: Vec::new(),
        })
    }

    /// Reads the consumer's rows. On a single topic, it also asks for the high-water mark, as if the
    /// cursor were still where the last poll found it. Both answers can come together then. If the
    /// cursor is elsewhere, the mark is of no use.
    fn stored<B>(&self, bus: &mut B) -> Result<(Vec<Option<ConsumerRow>>, MarkBeyond), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        if let ([reader], None) = (&*self.topics, &self.segment) {
            let key = self.key(reader.topic);
            let (stored, mark) = bus.stored_consumer_and_mark(key, self.memory.last_polled)?;
            return Ok((vec![stored], mark));
        }
        let rows = self.topics.iter();
        let rows = rows.map(|reader| self.stored_row(bus, reader.topic));
        Ok((rows.collect::<Result<_, _>>()?, MarkBeyond::NotAsked))
    }

    /// Reads the row of the consumer, or of its segment.
    pub(super) fn stored_row<B>(
        &self,
        bus: &mut B,
        topic: &str,
    ) -> Result<Option<ConsumerRow>, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        match &self.segment {
            Some(segment) => bus.stored_segment(self.key(topic), segment),
            None => bus.stored_consumer(self.key(topic)),
        }
    }

    /// Returns the lowest high-water mark of the topics, or `None` if no topic has a message after
    /// its cursor.
    ///
    /// Messages of several topics come in one order, so the lowest high-water mark limits all
    /// topics. If one topic has a message, the high-water marks of all topics are therefore read.
    /// The topic that had one last is asked first. While only that topic has messages, no topic is
    /// asked twice.
    fn high_water_mark_beyond<B>(
        &mut self,
        bus: &mut B,
        cursors: &[Position],
    ) -> Result<Option<Position>, Error>
    where
        B: MessageSource + ?Sized,
    {
        let (first, topics) = (self.memory.busy_topic, self.topics.len());
        let order = (0..topics).map(|index| (first + index) % topics);
        let mut lowest: Option<Position> = None;
        let mut without = Vec::new();
        for index in order {
            let reader = &mut self.topics[index];
            let mark = match lowest {
                None => reader.high_water_mark_beyond(bus, cursors[index])?,
                Some(_) => Some(reader.high_water_mark(bus)?),
            };
            match (mark, lowest) {
                (None, _) => without.push(index),
                (Some(mark), None) => {
                    self.memory.busy_topic = index;
                    lowest = Some(mark);
                }
                (Some(mark), Some(before)) => lowest = Some(before.min(mark)),
            }
        }
        let Some(mut lowest) = lowest else {
            return Ok(None);
        };
        for index in without {
            lowest = lowest.min(self.topics[index].high_water_mark(bus)?);
        }
        Ok(Some(lowest))
    }

    /// Returns the lowest high-water mark of the topics.
    pub(crate) fn high_water_mark<B>(&mut self, bus: &mut B) -> Result<Position, Error>
    where
        B: MessageSource + ?Sized,
    {
        let mut lowest = Position::LAST;
        for reader in &mut self.topics {
            lowest = lowest.min(reader.high_water_mark(bus)?);
        }
        Ok(lowest)
    }

    /// Returns the message up to which each topic is read. On a single topic, it also asks for the first
    /// messages, which the source can read at the same time.
    fn heads_and_ahead<B>(
        &self,
        bus: &mut B,
        cursors: &[Position],
        high_water_mark: Position,
    ) -> Result<(Vec<MessageAt>, Option<Ahead>), Error>
    where
        B: MessageSource + ?Sized,
    {
        let ([reader], [cursor]) = (&*self.topics, cursors) else {
            return Ok((self.heads(bus, high_water_mark)?, None));
        };
        let (head, ahead) = bus.head_and_ahead(&PageRequest {
            topic: reader.topic,
            part: Part::Whole,
            message_types: TypeFilter::All,
            after: *cursor,
            up_to: high_water_mark,
            limit: Ahead::MOST_MESSAGES + 1,
        })?;
        Ok((vec![head], ahead))
    }

    /// Returns the message up to which each topic is read.
    pub(super) fn heads<B>(
        &self,
        bus: &mut B,
        high_water_mark: Position,
    ) -> Result<Vec<MessageAt>, Error>
    where
        B: MessageSource + ?Sized,
    {
        let topics = self.topics.iter();
        let heads = topics.map(|reader| bus.head(reader.topic, high_water_mark));
        heads.collect()
    }

    /// Reads the high-water mark if the poll has none and the consumer must take the lease although
    /// no topic has messages after its cursor. The page that it reads then can begin at another
    /// cursor.
    pub(super) fn prepare_for_lease<B>(&mut self, bus: &mut B, poll: &mut Poll) -> Result<(), Error>
    where
        B: MessageSource + ?Sized,
    {
        if poll.has_high_water_mark || !(poll.must_settle || self.must_start(poll)) {
            return Ok(());
        }
        let high_water_mark = self.high_water_mark(bus)?;
        poll.heads = self.heads(bus, high_water_mark)?;
        poll.has_high_water_mark = true;
        Ok(())
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
