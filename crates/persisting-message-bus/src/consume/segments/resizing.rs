//! Changes the number of segments.
//!
//! The position of a key must not go back when its slot gets another segment, so all segments stop at
//! one position, and are replaced there:
//!
//! 1. The change is stored in the consumer's row: the new number, and a position at or after all
//!    cursors. No process hands out messages after that position. Each look reads where the topics end
//!    before it reads this. So a message after the position is handed out only by a look that began
//!    before, and then the position is raised to the cursor.
//! 2. When no segment has messages up to the position, a process takes the leases of all segments,
//!    checks that, and replaces the segments in one transaction.
//!
//! Everything is in the database, so any process continues what another one has begun.

use tracing::info;

use crate::consume::consumer::MessageConsumer;
use crate::consume::segments::look::{Look, Seen};
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::position::Position;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::lease::{Lease, LeaseRequest};
use crate::store::place::Place;
use crate::store::segment::{Division, Resize};
use crate::store::source::MessageSource;

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Stores that the number of segments changes. Returns `false` if the consumer has so many already.
    pub(crate) fn begin_resizing<B>(&mut self, bus: &mut B, to: u16) -> Result<bool, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        let Some(look) = self.look(bus)? else {
            let problem = "it is not divided into segments yet, or their number is changing: run it, and \
                try again";
            return Err(self.cannot_resize(problem.to_owned()));
        };
        let to = Division::new(look.division.by, to).segments;
        if look.division.resize.is_some() {
            let problem = format!("its number of segments is changing: \"{}\"", look.division);
            return Err(self.cannot_resize(problem));
        }
        if look.division.segments == to {
            return Ok(false);
        }
        let heads = look.ends.heads.iter().map(|head| head.position);
        let stop_at = heads.max().unwrap_or_default().max(highest_cursor(&look));
        let resize = Some(Resize { to, stop_at });
        let after = Division {
            resize,
            ..look.division
        };
        self.change_division(bus, look.division, after)?;
        info!(
            messaging.consumer.group.name = self.name,
            segments = look.division.segments,
            to,
            stop_at = stop_at.get(),
            "number of segments begins to change"
        );
        Ok(true)
    }

    fn cannot_resize(&self, problem: String) -> Error {
        Error::transient("changing the number of segments", problem).of_consumer(&self.name)
    }

    /// Replaces the division on the topics that still have the one before.
    fn change_division<B>(
        &self,
        bus: &mut B,
        before: Division,
        after: Division,
    ) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let mut topics = self.topics.iter();
        topics.try_for_each(|reader| {
            bus.change_division(self.key(reader.topic), before, after)
                .map(drop)
        })
    }

    /// Continues a change of the number of segments, if there is one: raises the position at which
    /// they stop, or replaces them.
    pub(crate) fn go_on_resizing<B>(&mut self, bus: &mut B, look: &Look) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        let Some(Resize { to, stop_at }) = look.division.resize else {
            return Ok(());
        };
        let highest = highest_cursor(look);
        if highest > stop_at {
            let resize = Some(Resize {
                to,
                stop_at: highest,
            });
            let raised = Division {
                resize,
                ..look.division
            };
            return self.change_division(bus, look.division, raised);
        }
        let is_there = |seen: &Seen| has_stopped(seen, look);
        // The mark is capped at the position, so it shows that nothing before can still be committed.
        let is_complete = look.ends.high_water_mark == stop_at;
        if !is_complete || !look.segments.iter().all(|it| it.is_free() && is_there(it)) {
            return Ok(());
        }
        (0..self.topics.len()).try_for_each(|topic| self.replace(bus, look.division, topic))
    }

    /// Ends a change that some topics have made and others have not, because a process ended between
    /// them.
    pub(crate) fn end_resizing<B>(&mut self, bus: &mut B) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        let rows = self.whole_rows(bus)?;
        let divisions = rows.iter().map(|row| row.as_ref()?.division);
        let divisions: Vec<_> = divisions.collect();
        let resizes = divisions.iter().flatten().filter_map(|it| it.resize);
        let Some(resize) = resizes.max_by_key(|resize| resize.stop_at) else {
            return Ok(());
        };
        let is_done = |it: &Division| it.resize.is_none() && it.segments == resize.to;
        let is_done_elsewhere = divisions.iter().flatten().any(is_done);
        for (topic, division) in divisions.iter().enumerate() {
            let Some(division) = *division else { continue };
            let after = Division {
                resize: Some(resize),
                ..division
            };
            match division.resize {
                None if is_done(&division) => {}
                Some(_) if is_done_elsewhere => self.replace(bus, division, topic)?,
                // The change was begun, or the position raised, on the other topics only.
                _ => {
                    bus.change_division(self.key(self.topics[topic].topic), division, after)?;
                }
            }
        }
        Ok(())
    }

    /// Replaces the segments of a topic, if all stand at the position and are free.
    fn replace<B>(&mut self, bus: &mut B, before: Division, topic: usize) -> Result<(), Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        let Some(Resize { to, stop_at }) = before.resize else {
            return Ok(());
        };
        let end = bus.head(self.topics[topic].topic, stop_at)?;
        let mut leases = Vec::new();
        let replaced = self.replace_under(bus, before, topic, &mut leases, |lease| {
            lease.place().position() >= end.position && lease.place().position() <= stop_at
        });
        let replaced = match replaced {
            Ok(true) => {
                let place = end.place_after(Place::BEFORE_ALL);
                let after = Division::new(before.by, to);
                let key = self.key(self.topics[topic].topic);
                bus.replace_segments(key, &leases, place, [before, after])
            }
            other => other,
        };
        match replaced {
            Ok(true) => {
                info!(
                    messaging.consumer.group.name = self.name,
                    messaging.destination.name = self.topics[topic].topic,
                    segments = to,
                    at = end.position.get(),
                    "number of segments changed"
                );
                Ok(())
            }
            replaced => {
                let released = leases.iter().map(|lease| bus.release(lease));
                let released = released.fold(Ok(()), Result::and);
                match replaced {
                    Err(error) if error.is_lease_held() => released,
                    Err(error) => Err(error),
                    Ok(_) => released,
                }
            }
        }
    }

    /// Takes the leases of all segments. Returns whether all stand at the position.
    fn replace_under<B>(
        &self,
        bus: &mut B,
        before: Division,
        topic: usize,
        leases: &mut Vec<Lease>,
        stands_there: impl Fn(&Lease) -> bool,
    ) -> Result<bool, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        for segment in before.all(&self.name) {
            let request = LeaseRequest {
                segment: Some(&segment),
                ..self.request(self.topics[topic].topic)
            };
            let lease = bus.acquire(&request)?;
            let is_there = stands_there(&lease);
            leases.push(lease);
            if !is_there {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Returns whether a segment has handled all messages up to the position at which segments stop.
fn has_stopped(seen: &Seen, look: &Look) -> bool {
    let mut heads = look.ends.heads.iter().enumerate();
    heads.all(|(topic, head)| seen.cursor(topic) >= head.position)
}

fn highest_cursor(look: &Look) -> Position {
    let cursors = look.segments.iter().flat_map(|seen| {
        let rows = seen.rows.iter();
        rows.map(|row| row.place().position())
    });
    cursors.max().unwrap_or_default()
}
