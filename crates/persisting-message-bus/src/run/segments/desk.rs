//! What a process knows of a segment, from one time slice to the next.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

use crate::backoff::full_jitter;
use crate::consume::memory::Memory;
use crate::consume::segments::look::{News, Seen};
use crate::error::Error;
use crate::position::Position;
use crate::run::step::{Next, Outcome, Pace, Progress};
use crate::store::consumer_state::ConsumerRow;
use crate::store::place::{Anchor, MessageAt};

/// What a process knows of a segment.
#[derive(Debug, Default)]
pub(super) struct Desk {
    pub(super) memory: Memory,
    progress: Progress,
    pub(super) state: DeskState,
    /// The time at which a thread last put it back.
    put_back_at: Option<Instant>,
    /// The time before which this process leaves the segment alone.
    pub(super) rests_until: Option<Instant>,
    /// On each topic, the position up to which the segment may have messages.
    up_to: Vec<Position>,
    /// The last error, if nothing was handled since.
    pub(super) failing: Option<String>,
    /// Whether this program has worked on the segment, and so settled what the two read.
    is_settled: bool,
    /// Whether its cursor may not count in this source, which a thread must check.
    is_doubted: bool,
    /// How often in a row another process had its lease.
    collisions: u32,
    /// The first redriven messages: those that the last look has seen, those before the present time
    /// slice, and those that a thread has left.
    redriven: Redriven,
    redriven_before: Redriven,
    left_redriven: Redriven,
}

/// The first redriven message of each topic.
type Redriven = Vec<Option<Position>>;

/// The first rest after another process had the lease, and how often it can double.
const FIRST_REST: Duration = Duration::from_millis(10);
const MOST_DOUBLINGS: u32 = 7;

/// The state of a segment in a process.
#[derive(Debug, Default)]
pub(super) enum DeskState {
    #[default]
    Resting,
    /// It is on the board.
    Ready,
    /// A thread works on it.
    Working,
    /// This process does not try again, until the cursors are moved.
    Stopped {
        error: Option<Error>,
        /// The cursors where the thread has left them. If it did not know them, those that the first look
        /// has seen that began afterwards.
        cursors: Vec<Position>,
        since: Instant,
    },
}

impl Desk {
    /// Notes that the segment may have messages up to a position.
    pub(super) fn learn(&mut self, new: &News) {
        if self.up_to.len() <= new.topic {
            self.up_to.resize(new.topic + 1, Position::START);
        }
        if self.up_to[new.topic] < new.position {
            self.up_to[new.topic] = new.position;
            if self.failing.is_none() {
                self.rests_until = None;
            }
        }
    }

    /// Notes that a thread begins to work on it, and returns what is remembered of it.
    pub(super) fn begin(&mut self) -> Memory {
        self.state = DeskState::Working;
        self.redriven_before.clone_from(&self.redriven);
        std::mem::take(&mut self.memory)
    }

    /// Notes what a look has seen that began at this time. A segment that was not tried again is tried
    /// again when its cursors have moved: an operator, or another process, has got it past its message.
    pub(super) fn see(&mut self, seen: &Seen, begun: Instant) {
        self.redriven = seen.rows.iter().map(|row| row.first_redriven).collect();
        if self.redriven != self.left_redriven {
            // One that was left can be parked, and redriven again.
            self.left_redriven.clear();
        }
        let DeskState::Stopped { cursors, since, .. } = &mut self.state else {
            return;
        };
        if begun < *since {
            return;
        }
        let now: Vec<_> = (0..seen.rows.len())
            .map(|topic| seen.cursor(topic))
            .collect();
        if cursors.is_empty() {
            *cursors = now;
        } else if *cursors != now {
            self.state = DeskState::Resting;
            (self.progress, self.rests_until, self.failing) = (Progress::default(), None, None);
        }
    }

    /// Forgets which redriven messages a thread has left. Notes that a thread must check the cursor, if it
    /// is after the end of the topic, or if another message is at its position: the database may have
    /// been restored.
    pub(super) fn doubt(&mut self, seen: &Seen, heads: &[MessageAt]) {
        let is_doubted = |(row, head): (&ConsumerRow, &MessageAt)| {
            let place = row.place();
            let is_other = |anchor: &Anchor| {
                anchor.position == head.position && Some(anchor.message_id) != head.message_id
            };
            place.position() > head.position || place.anchor.as_ref().is_some_and(is_other)
        };
        self.left_redriven.clear();
        self.is_doubted |= seen.rows.iter().zip(heads).any(is_doubted);
    }

    /// Returns whether the segment may have something to do.
    pub(super) fn has_work(&self, seen: &Seen, event_set: &str) -> bool {
        let has_messages = |(topic, up_to): (usize, &Position)| seen.cursor(topic) < *up_to;
        let has_other_set = |set: &Option<String>| set.as_deref() != Some(event_set);
        self.up_to.iter().enumerate().any(has_messages)
            || self.is_doubted
            || seen.has_redriven() && self.redriven != self.left_redriven
            || !self.is_settled
                && seen
                    .rows
                    .iter()
                    .any(|row| has_other_set(&row.identity.event_set))
    }

    /// Returns since when the segment waits, by the clock of the database: since its cursor moved, or since a
    /// thread of this process put it back. A time slice that fails moves no cursor. Without the second time,
    /// segments that fail slowly would always be the first, and the others would wait for ever.
    pub(super) fn waits_since(&self, seen: &Seen, now: Instant) -> Option<DateTime<Utc>> {
        let put_back = self.put_back_at.and_then(|at| {
            let ago = TimeDelta::from_std(now.saturating_duration_since(at)).ok()?;
            seen.rows.first()?.now.checked_sub_signed(ago)
        });
        seen.moved_at().max(put_back)
    }

    /// Returns whether the segment can be put on the board now.
    pub(super) fn can_begin(&self, now: Instant) -> bool {
        self.is_resting() && self.rests_until.is_none_or(|until| until <= now)
    }

    pub(super) fn is_resting(&self) -> bool {
        matches!(self.state, DeskState::Resting)
    }

    pub(super) fn is_worked_on(&self) -> bool {
        matches!(self.state, DeskState::Working)
    }

    pub(super) fn has_stopped(&self) -> bool {
        matches!(self.state, DeskState::Stopped { .. })
    }

    /// Returns the next step after a time slice, and how often the same object has failed in a row.
    pub(super) fn step(&mut self, outcome: &Outcome, pace: &Pace) -> (Next, u32) {
        let next = self.progress.step(outcome, pace);
        (next, self.progress.failures())
    }

    /// Takes the segment back after a time slice.
    pub(super) fn put_back(&mut self, memory: Memory, outcome: Outcome, next: Next) {
        self.memory = memory;
        self.state = DeskState::Resting;
        let is_nothing = matches!(outcome, Outcome::Nothing(_));
        let error = outcome.into_error();
        if error.as_ref().is_some_and(Error::is_lease_held) {
            // Another process has it. The rests grow, because a row can be locked although its lease
            // has expired.
            let rest = FIRST_REST * 2_u32.pow(self.collisions.min(MOST_DOUBLINGS));
            self.collisions = self.collisions.saturating_add(1);
            (self.failing, self.rests_until) = (None, Instant::now().checked_add(rest));
            return;
        }
        (self.collisions, self.put_back_at) = (0, Some(Instant::now()));
        if error.is_none() {
            (self.is_settled, self.is_doubted) = (true, false);
        }
        if is_nothing {
            // A look can have seen others meanwhile, which the thread has not.
            self.left_redriven.clone_from(&self.redriven_before);
        }
        self.failing = error.as_ref().map(|error| format!("{error:#}"));
        let rest = match next {
            Next::GoOn => None,
            Next::Poll(wait) | Next::RetryAfter(wait) => Some(wait),
            Next::RetryWithin(longest) | Next::ReconnectWithin(longest) => {
                Some(full_jitter(longest))
            }
            Next::Stop => {
                self.state = DeskState::Stopped {
                    error,
                    cursors: std::mem::take(&mut self.memory.cursors),
                    since: Instant::now(),
                };
                None
            }
        };
        self.rests_until = rest.and_then(|rest| Instant::now().checked_add(rest));
    }

    /// Returns the error after which it is not tried again, once.
    pub(super) fn take_error(&mut self) -> Option<Error> {
        match &mut self.state {
            DeskState::Stopped { error, .. } => error.take(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
