//! What is read of a consumer that is divided, before its segments are worked on.

use std::time::Instant;

use chrono::{DateTime, Utc};

use crate::consume::consumer::MessageConsumer;
use crate::consume::ends::Ends;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::position::Position;
use crate::store::consumer_state::{ConsumerRow, MessageConsumerState, SegmentRow};
use crate::store::lease::LeaseRequest;
use crate::store::segment::{Division, Segment};
use crate::store::source::MessageSource;

/// The state of a consumer that is divided.
#[derive(Debug)]
pub(crate) struct Look {
    /// The time at which it began.
    pub(crate) begun: Instant,
    pub(crate) division: Division,
    /// Where the topics end. Nothing after that is handled.
    pub(crate) ends: Ends,
    pub(crate) is_paused: bool,
    pub(crate) segments: Vec<Seen>,
}

/// A segment on all topics.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) segment: Segment,
    /// Its rows, in the order of the topics.
    pub(crate) rows: Vec<ConsumerRow>,
}

/// A message that a segment may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct News {
    /// The number of the segment.
    pub(crate) segment: u16,
    /// The index of its topic.
    pub(crate) topic: usize,
    pub(crate) position: Position,
}

impl Seen {
    /// Returns whether its lease can be taken on all topics.
    pub(crate) fn is_free(&self) -> bool {
        let is_held =
            |row: &ConsumerRow| row.lease_owner.is_some() && row.lease_expires_at > Some(row.now);
        !self.rows.iter().any(is_held)
    }

    /// Returns whether this owner can take its lease on all topics: it is free, or the owner's own,
    /// whose release was not confirmed.
    pub(crate) fn is_free_for(&self, owner: &str) -> bool {
        let is_own = |row: &ConsumerRow| row.lease_owner.as_deref() == Some(owner);
        self.is_free()
            || self
                .rows
                .iter()
                .all(|row| is_own(row) || row.lease_owner.is_none())
    }

    /// Returns the time at which its cursor last moved.
    pub(crate) fn moved_at(&self) -> Option<DateTime<Utc>> {
        self.rows.iter().filter_map(|row| row.cursor_moved_at).max()
    }

    /// Returns whether a message waits that was parked and redriven.
    pub(crate) fn has_redriven(&self) -> bool {
        self.rows.iter().any(|row| row.first_redriven.is_some())
    }

    /// Returns the cursor on a topic.
    pub(crate) fn cursor(&self, topic: usize) -> Position {
        let row = self.rows.get(topic);
        row.map_or(Position::START, |row| row.place().position())
    }
}

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Reads the segments, and where the topics end. Returns `None` if the consumer is not divided on
    /// all topics, or not alike.
    ///
    /// The end is read first. So messages after a number of segments was decided are not handled by
    /// the former ones.
    pub(crate) fn look<B>(&mut self, bus: &mut B) -> Result<Option<Look>, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        let begun = Instant::now();
        self.source = bus.source_name();
        let mut high_water_mark = self.high_water_mark(bus)?;
        let rows = self.whole_rows(bus)?;
        let Some(division) = common_division(&rows) else {
            return Ok(None);
        };
        if let Some(resize) = division.resize {
            high_water_mark = high_water_mark.min(resize.stop_at);
        }
        let heads = self.heads(bus, high_water_mark)?;
        let mut segments: Vec<Seen> = Vec::new();
        for reader in &self.topics {
            let found = match bus.segments(self.key(reader.topic), division) {
                Ok(found) => found,
                // Another process has replaced the segments since the division was read.
                Err(_) if common_division(&self.whole_rows(bus)?) != Some(division) => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            for (index, SegmentRow { segment, row }) in found.into_iter().enumerate() {
                match segments.get_mut(index) {
                    Some(seen) => seen.rows.push(row),
                    None => segments.push(Seen {
                        segment,
                        rows: vec![row],
                    }),
                }
            }
        }
        let mut known = rows.iter().flatten();
        Ok(Some(Look {
            begun,
            division,
            ends: Ends {
                high_water_mark,
                heads,
            },
            is_paused: known.any(|row| row.paused_at.is_some()),
            segments,
        }))
    }

    /// Returns the error that another owner holds the lease of a segment, if one does.
    pub(crate) fn held_by_another(&self, seen: &Seen) -> Option<Error> {
        let mut rows = self.topics.iter().zip(&seen.rows);
        let held = rows.find_map(|(reader, row)| {
            let request = LeaseRequest {
                segment: Some(&seen.segment),
                ..self.request(reader.topic)
            };
            Error::held_by_another(&request, row)
        });
        Some(held?.of_segment(Some(seen.segment.number)))
    }

    /// Reads which segments have messages after the ends of an earlier look. Returns `None` if a topic
    /// has at least `most` messages there, so that any segment may have some.
    pub(crate) fn news<B>(
        &self,
        bus: &mut B,
        look: &Look,
        before: &Ends,
        most: usize,
    ) -> Result<Option<Vec<News>>, Error>
    where
        B: MessageSource + ?Sized,
    {
        let mut news = Vec::new();
        let ends = before.heads.iter().zip(&look.ends.heads);
        for (topic, (reader, (after, up_to))) in self.topics.iter().zip(ends).enumerate() {
            let (after, up_to) = (after.position, up_to.position);
            if after >= up_to {
                continue;
            }
            let slots = bus.slots_after(reader.topic, after, up_to, most)?;
            if slots.len() >= most {
                return Ok(None);
            }
            news.extend(slots.into_iter().map(|(position, slot)| News {
                segment: look.division.number_at(position, slot),
                topic,
                position,
            }));
        }
        Ok(Some(news))
    }

    /// Reads the rows of the whole consumer, in the order of the topics.
    pub(crate) fn whole_rows<B>(&self, bus: &mut B) -> Result<Vec<Option<ConsumerRow>>, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let topics = self.topics.iter();
        let rows = topics.map(|reader| bus.stored_consumer(self.key(reader.topic)));
        rows.collect()
    }
}

/// Returns the division, if it is the same on all topics.
pub(super) fn common_division(rows: &[Option<ConsumerRow>]) -> Option<Division> {
    let mut divisions = rows.iter().map(|row| row.as_ref()?.division);
    let first = divisions.next()??;
    divisions.all(|other| other == Some(first)).then_some(first)
}
