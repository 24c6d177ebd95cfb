//! A consumer that is divided into segments, as the consumer of one segment at a time.

use crate::consume::consumer::MessageConsumer;
use crate::consume::ends::Ends;
use crate::consume::leases::Leases;
use crate::consume::memory::Memory;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::store::consumer_state::{ConsumerRow, MessageConsumerState};
use crate::store::part::{Part, SlotRange};
use crate::store::place::Place;
use crate::store::segment::{Division, Segment};
use crate::store::source::MessageSource;

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Begins to work for a segment, with what was remembered of it.
    pub(crate) fn begin_segment(&mut self, segment: Segment, memory: Memory, ends: Ends) {
        for reader in &mut self.topics {
            reader.part = segment.part;
        }
        self.segment = Some(segment);
        self.memory = memory;
        self.memory.cursors.clear();
        self.ends = Some(ends);
    }

    /// Notes where the cursors of its segment are stored. Until the lease ends, nothing else moves them.
    pub(super) fn note_cursors(&mut self, places: impl Iterator<Item = Place>) {
        if self.segment.is_some() {
            self.memory.cursors.clear();
            self.memory
                .cursors
                .extend(places.map(|place| place.position()));
        }
    }

    /// Ends to work for a segment, and returns what must be remembered of it.
    pub(crate) fn end_segment(&mut self) -> Memory {
        self.segment = None;
        self.ends = None;
        for reader in &mut self.topics {
            reader.part = Part::Whole;
        }
        std::mem::take(&mut self.memory)
    }

    /// Returns whether its thread must keep the segment: the right to work alone belongs to the thread,
    /// and its leases are renewed while cursors of final effects are not stored.
    pub(crate) fn keeps_segment(&self) -> bool {
        self.memory.turn.is_some() || self.memory.unstored.is_some()
    }

    /// Returns the number of its segment.
    pub(crate) fn segment_number(&self) -> Option<u16> {
        self.segment.as_ref().map(|segment| segment.number)
    }

    /// Lets it hold leases as the same owner as another consumer.
    pub(crate) fn works_with(&mut self, other: &Self) {
        self.owner.clone_from(&other.owner);
    }

    /// Returns the slots of its segment.
    pub(super) fn slots(&self) -> Option<SlotRange> {
        self.segment
            .as_ref()
            .and_then(|segment| segment.part.slots())
    }

    /// Fails if the consumer is divided and this program is not.
    pub(super) fn check_undivided(&self, stored: &[Option<ConsumerRow>]) -> Result<(), Error> {
        let divided = stored.iter().flatten().find_map(|stored| stored.division);
        match (divided, &self.segment) {
            (Some(division), None) => Err(self.is_divided(division)),
            _ => Ok(()),
        }
    }

    fn is_divided(&self, division: Division) -> Error {
        let Division { by, segments, .. } = division;
        let problem = format!(
            "it is divided by {by} into {segments} segments, so its own cursor is not used, and a program \
             that handles one message at a time would handle messages again: run and reset it with \
             `ParallelConsumer`"
        );
        Error::permanent("using the consumer's own cursor", problem).of_consumer(&self.name)
    }

    /// Releases leases that were taken after the consumer was divided. Another holder has divided it
    /// only if it has taken the lease since the rows were read, which the epoch shows.
    pub(super) fn leave_divided<B>(
        &self,
        bus: &mut B,
        mut leases: Leases,
        stored: &[Option<ConsumerRow>],
    ) -> Result<Leases, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        if self.segment.is_some() {
            return Ok(leases);
        }
        let was_taken = leases.leases.iter().zip(stored).any(|(lease, stored)| {
            let before = stored.as_ref().map_or(0, |stored| stored.lease_epoch);
            lease.epoch > before + 1
        });
        if !was_taken {
            return Ok(leases);
        }
        let rows = self.topics.iter();
        let rows: Result<Vec<_>, _> = rows
            .map(|reader| self.stored_row(bus, reader.topic))
            .collect();
        match rows.and_then(|rows| self.check_undivided(&rows)) {
            Ok(()) => Ok(leases),
            Err(error) => Err(match leases.release(bus) {
                Ok(()) => error,
                Err(second) => error.followed_by(second),
            }),
        }
    }
}
