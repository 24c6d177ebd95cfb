//! Compares what this program reads with what is stored for the consumer's name.
//!
//! A cursor is valid for one source and one event set. A consumer of the same name that reads
//! something else would pass messages that the other one wants. So each row stores the source and
//! the event set, and a consumer compares them before it works:
//!
//! - If it reads more than is stored, it must say what happens to the messages of the added types
//!   ([`MessageConsumer::on_added`]).
//! - If it reads less, it is an older program beside a newer one. It continues up to the first
//!   message that only the newer one wants.
//! - If each reads something that the other does not, two programs use one name.

use crate::consume::consumer::MessageConsumer;
use crate::consume::leases::Leases;
use crate::consume::poll::Poll;
use crate::consume::topic_reader::Reading;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::store::consumer_state::{ConsumerRow, MessageConsumerState};
use crate::store::event_set::{EventSetRecord, Relation, Types};
use crate::store::identity::{ConsumerIdentity, StoredIdentity};
use crate::store::lease::Lease;
use crate::store::place::Place;
use crate::store::source::MessageSource;

/// What a row stores, compared with what this program reads.
#[derive(Debug)]
pub(super) enum Standing {
    /// The row stores no event set yet.
    Unknown,
    /// The row stores what this program reads.
    Same,
    Compared(Relation, EventSetRecord),
}

impl Standing {
    /// Returns whether the row must be changed: the event set has grown, or added types are to be
    /// replayed.
    fn must_settle(&self) -> bool {
        let Self::Compared(relation, record) = self else {
            return false;
        };
        let backfill = record.backfill.as_ref();
        (*relation == Relation::Grown && backfill.is_none())
            || backfill.is_some_and(|backfill| !backfill.has_begun || backfill.types.is_empty())
    }
}

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Returns what this program reads, as a row stores it.
    pub(super) fn identity(&self) -> ConsumerIdentity<'_> {
        ConsumerIdentity {
            event_set: Some(&self.event_set.text),
            source: self.source.as_deref(),
        }
    }

    /// Fails if the rows belong to another consumer. Otherwise decides how each topic is read. The
    /// rows can change until the leases are taken, so this is repeated then.
    pub(super) fn check_identity(&mut self, poll: &mut Poll) -> Result<(), Error> {
        for (index, stored) in poll.stored.iter().enumerate() {
            let place = stored.as_ref().map(ConsumerRow::place).unwrap_or_default();
            let standing = match stored {
                Some(stored) => self.compare(index, &stored.identity, place)?,
                None => Standing::Unknown,
            };
            poll.must_settle |= standing.must_settle();
            if let Standing::Compared(Relation::Narrower, record) = &standing {
                poll.unread_topics = self.unread_of(record);
            }
            self.read_as(index, &standing);
        }
        Ok(())
    }

    /// Reads a stored event set. Types that this program knows as retired do not count, because no
    /// program wants them any more.
    fn stored_record(&self, text: &str) -> Result<EventSetRecord, Error> {
        let Some(record) = EventSetRecord::from_stored(text) else {
            return Err(Error::other_event_set(text, &self.event_set.record));
        };
        let topics = self.topics.iter();
        Ok(topics.fold(record, |record, reader| {
            record.without(reader.topic, reader.retired)
        }))
    }

    /// Compares a row with what this program reads.
    pub(super) fn compare(
        &self,
        index: usize,
        stored: &StoredIdentity,
        place: Place,
    ) -> Result<Standing, Error> {
        let (reader, own) = (&self.topics[index], &self.event_set);
        let is_at_work = place.cursor.is_some();
        if is_at_work && stored.source != self.source {
            let names = [&stored.source, &self.source].map(Option::as_deref);
            return Err(Error::other_source(reader.topic, names[0], names[1]));
        }
        let Some(text) = &stored.event_set else {
            return Ok(Standing::Unknown);
        };
        if *text == own.text {
            return Ok(Standing::Same);
        }
        let record = self.stored_record(text)?;
        match own.record.relation_to(&record) {
            Relation::Other => Err(Error::other_event_set(&record, &own.record)),
            Relation::Grown if is_at_work && self.settings.on_added.is_none() => {
                Err(Error::event_set_grew(&record, &own.record))
            }
            relation => Ok(Standing::Compared(relation, record)),
        }
    }

    /// Returns whether a row stores what this program reads, and no message of an added type is left to
    /// replay.
    pub(super) fn reads_what(&self, stored: &StoredIdentity) -> bool {
        let Some(text) = &stored.event_set else {
            return false;
        };
        let is_same = |record: EventSetRecord| {
            record.backfill.is_none()
                && self.event_set.record.relation_to(&record) == Relation::Same
        };
        *text == self.event_set.text || self.stored_record(text).is_ok_and(is_same)
    }

    /// Returns the topics of a row that this program does not read.
    fn unread_of(&self, record: &EventSetRecord) -> Vec<(String, Types)> {
        let own = &self.event_set.record.topics;
        let unread = record.topics.iter();
        let unread = unread.filter(|(topic, _)| !own.contains_key(*topic));
        unread
            .map(|(topic, types)| (topic.clone(), types.clone()))
            .collect()
    }

    /// Reads a topic as the row requires. A program that reads less than is stored also reads the
    /// other types, so that it stops before their messages.
    pub(super) fn read_as(&mut self, index: usize, standing: &Standing) {
        let reader = &mut self.topics[index];
        reader.reading = match standing {
            Standing::Compared(relation, record) => {
                match (&record.backfill, relation, record.topics.get(reader.topic)) {
                    (Some(backfill), ..) => Reading::Backfill(backfill.clone()),
                    (None, Relation::Narrower, Some(types)) => Reading::Wider(types.clone()),
                    _ => Reading::Usual,
                }
            }
            Standing::Unknown | Standing::Same => Reading::Usual,
        };
    }

    /// Stores under the leases what this program reads, if it is not stored yet, and decides how
    /// each topic is read.
    pub(super) fn settle_identity<B>(
        &mut self,
        bus: &mut B,
        leases: &mut Leases,
    ) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        let mut standings = Vec::new();
        for (index, lease) in leases.leases.iter_mut().enumerate() {
            standings.push(self.settle_backfill(bus, index, lease)?);
        }
        self.settle_growth(bus, leases, &mut standings)?;
        for (index, (lease, standing)) in leases.leases.iter_mut().zip(&standings).enumerate() {
            let is_stored = !matches!(standing, Standing::Unknown);
            if !is_stored || lease.identity.source != self.source {
                let text = lease.identity.event_set.clone();
                let text = text.filter(|_| is_stored);
                self.store_event_set(bus, lease, text.as_deref().unwrap_or(&self.event_set.text))?;
            }
            self.read_as(index, standing);
        }
        Ok(())
    }

    /// Returns the event set that a row stores after a reset. An older program leaves what a newer
    /// one wants.
    ///
    /// # Errors
    ///
    /// If the row belongs to a consumer with another event set.
    pub(super) fn event_set_after_reset(&self, lease: &Lease) -> Result<String, Error> {
        let own = &self.event_set;
        let stored = lease.identity.event_set.as_ref();
        let Some(text) = stored.filter(|text| **text != own.text) else {
            return Ok(own.text.clone());
        };
        let record = self.stored_record(text)?;
        match own.record.relation_to(&record) {
            Relation::Other => Err(Error::other_event_set(&record, &own.record)),
            Relation::Same | Relation::Grown => Ok(own.text.clone()),
            Relation::Narrower => Ok(EventSetRecord {
                backfill: None,
                ..record
            }
            .to_stored()),
        }
    }

    /// Stores an event set in a row, and the source.
    pub(super) fn store_event_set<B>(
        &self,
        bus: &mut B,
        lease: &mut Lease,
        event_set: &str,
    ) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let identity = ConsumerIdentity {
            event_set: Some(event_set),
            source: self.source.as_deref(),
        };
        bus.identify(lease, identity)?;
        lease.identity = identity.into();
        Ok(())
    }
}
