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
//!    checks that, and replaces the segments on all topics in one transaction. A thread that still has a
//!    former segment in mind cannot take a new one for it, because their names differ.
//!
//! Everything is in the database, so any process continues what another one has begun.

use tracing::info;

use crate::consume::consumer::MessageConsumer;
use crate::consume::segments::look::{Look, Seen};
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::position::Position;
use crate::store::consumer_state::{MessageConsumerState, SegmentChange};
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
        if !self.has_settled(&look) {
            let problem = format!(
                "this program reads {}, and a segment was last handled by a program that reads something \
                 else: run the consumer with this program until its segments have caught up, and try again",
                self.event_set.record
            );
            return Err(self.cannot_resize(problem));
        }
        let heads = look.ends.heads.iter().map(|head| head.position);
        let stop_at = heads.max().unwrap_or_default().max(highest_cursor(&look));
        let resize = Some(Resize { to, stop_at });
        let after = Division {
            resize,
            ..look.division
        };
        // A process at work can have been faster to store the change on another topic.
        if !self.change_division(bus, look.division, after)? && !self.all_change(bus, to)? {
            let problem =
                "another operator has changed the number of segments meanwhile: try again";
            return Err(self.cannot_resize(problem.to_owned()));
        }
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

    /// Replaces the division on the topics that still have the one before. Returns whether all had it.
    fn change_division<B>(
        &self,
        bus: &mut B,
        before: Division,
        after: Division,
    ) -> Result<bool, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let mut topics = self.topics.iter();
        topics.try_fold(true, |all, reader| {
            let changed = bus.change_division(self.key(reader.topic), before, after)?;
            Ok(all && changed)
        })
    }

    /// Returns whether all segments were last handled by a program that reads what this one reads. Only
    /// then, this program knows all their topics, and the segments do not differ in what they have
    /// handled of a type that was added.
    fn has_settled(&self, look: &Look) -> bool {
        let mut rows = look.segments.iter().flat_map(|seen| &seen.rows);
        rows.all(|row| self.reads_what(&row.identity))
    }

    /// Returns what a change of the number of segments waits for, if it cannot be completed now.
    pub(crate) fn hinders_resizing(&self, look: &Look) -> Option<String> {
        let Resize { to, stop_at } = look.division.resize?;
        let waits = if !self.has_settled(look) {
            format!(
                "for segments that were last handled by a program that reads something else than this \
                 one, which reads {}: end the deployment, or call ParallelConsumer::narrow_event_set if \
                 nothing reads more",
                self.event_set.record
            )
        } else if let Some(seen) = look.segments.iter().find(|seen| !has_stopped(seen, look)) {
            let number = seen.segment.number;
            format!("for segment {number}, which has messages up to there: see its failure")
        } else {
            let own = self.owner_of_changes();
            let held = look.segments.iter().find(|seen| !seen.is_free_for(&own))?;
            let owner = held.rows.iter().find_map(|row| row.lease_owner.as_deref());
            let (number, owner) = (held.segment.number, owner.unwrap_or_default());
            format!("for the lease of segment {number}, which {owner} holds")
        };
        Some(format!(
            "it changes to {to} segments at position {stop_at}, and handles nothing after it until then; \
             it waits {waits}"
        ))
    }

    /// Continues a change of the number of segments, if there is one: raises the position at which
    /// they stop, or replaces them. Returns whether the look does not hold any more.
    pub(crate) fn go_on_resizing<B>(&mut self, bus: &mut B, look: &Look) -> Result<bool, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        let Some(Resize { to, stop_at }) = look.division.resize else {
            return Ok(false);
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
            self.change_division(bus, look.division, raised)?;
            return Ok(true);
        }
        let owner = self.owner_of_changes();
        let can_be_replaced = |it: &Seen| it.is_free_for(&owner) && has_stopped(it, look);
        // The mark is capped at the position, so it shows that nothing before can still be committed.
        let is_complete = look.ends.high_water_mark == stop_at;
        if is_complete && look.segments.iter().all(can_be_replaced) && self.has_settled(look) {
            self.replace(bus, look)
        } else {
            Ok(false)
        }
    }

    /// Replaces the segments on all topics, if all stand at the position and are free. Returns whether
    /// they did.
    fn replace<B>(&mut self, bus: &mut B, look: &Look) -> Result<bool, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        let Some(Resize { to, stop_at }) = look.division.resize else {
            return Ok(false);
        };
        let mut leases = Vec::new();
        let replaced = match self.take_all(bus, look, stop_at, &mut leases) {
            Ok(true) => self.replace_under(bus, look, &leases, to),
            other => other,
        };
        if matches!(replaced, Ok(true)) {
            info!(
                messaging.consumer.group.name = self.name,
                segments = to,
                at = stop_at.get(),
                "number of segments changed"
            );
            return Ok(true);
        }
        let released = leases.iter().flatten().map(|lease| bus.release(lease));
        let released = released.fold(Ok(()), Result::and);
        match (replaced, released) {
            (Err(error), released) if error.is_lease_held() => released.map(|()| false),
            (Err(error), Err(second)) => Err(error.followed_by(second)),
            (replaced, released) => released.and(replaced),
        }
    }

    /// Returns the owner of leases under which this process replaces segments.
    ///
    /// It is another one than that of the process's threads, because an owner can take its own leases
    /// again: a thread can have begun to work on a segment since the look. For the same reason, a lease
    /// of which the process did not learn that it has it delays no change.
    fn owner_of_changes(&self) -> String {
        format!("{} changes the number of segments", self.owner)
    }

    /// Takes the leases of all segments, topic by topic. Returns whether all stand at the position.
    fn take_all<B>(
        &self,
        bus: &mut B,
        look: &Look,
        stop_at: Position,
        leases: &mut Vec<Vec<Lease>>,
    ) -> Result<bool, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let owner = self.owner_of_changes();
        for (reader, end) in self.topics.iter().zip(&look.ends.heads) {
            leases.push(Vec::new());
            for Seen { segment, .. } in &look.segments {
                let request = LeaseRequest {
                    segment: Some(segment),
                    owner: &owner,
                    ..self.request(reader.topic)
                };
                let lease = bus.acquire(&request)?;
                let stands_at = lease.place().position();
                let Some(of_topic) = leases.last_mut() else {
                    return Ok(false);
                };
                of_topic.push(lease);
                // One row becomes several, so these must not differ in anything else.
                let are_alike = of_topic
                    .iter()
                    .all(|it| it.identity == of_topic[0].identity);
                if !are_alike || !(end.position..=stop_at).contains(&stands_at) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn replace_under<B>(
        &self,
        bus: &mut B,
        look: &Look,
        leases: &[Vec<Lease>],
        to: u16,
    ) -> Result<bool, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let topics = self.topics.iter().zip(&look.ends.heads).zip(leases);
        let changes = topics.map(|((reader, end), leases)| SegmentChange {
            key: self.key(reader.topic),
            before: look.division,
            after: Division::new(look.division.by, to),
            leases: leases.clone(),
            place: end.place_after(Place::BEFORE_ALL),
        });
        bus.replace_segments(&changes.collect::<Vec<_>>())
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
