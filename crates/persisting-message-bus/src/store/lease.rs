//! The lease: the right to be the one active consumer of a name.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::position::Position;
use crate::store::identity::{ConsumerIdentity, StoredIdentity};
use crate::store::key::ConsumerKey;
use crate::store::place::{Anchor, Place};
use crate::store::segment::Segment;
use crate::store::work::Work;

/// A request for the lease of a consumer.
#[derive(Debug, Clone, Copy)]
pub struct LeaseRequest<'a> {
    /// The consumer's name.
    pub consumer: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// The segment, if the consumer is divided. Its row must exist.
    pub segment: Option<&'a Segment>,
    /// The owner that requests it; unique for each holder.
    pub owner: &'a str,
    /// The duration of the lease. Fractions of a millisecond are cut off. A lease of zero expires
    /// at once.
    pub duration: Duration,
    /// What the consumer reads. It is stored if the consumer has never run.
    pub identity: ConsumerIdentity<'a>,
    /// Whether the page after the cursor will be handed out under the lease. This is then noted in the
    /// same step, as [`note_work`] notes [`Work::PAGE`], unless an earlier holder has left work: then
    /// [`Lease::left`] is that.
    ///
    /// [`note_work`]: crate::backend::MessageConsumerState::note_work
    pub hands_out: bool,
}

/// The right to be the one active consumer of a name on a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The consumer's name.
    pub consumer: String,
    /// The topic.
    pub topic: String,
    /// The segment, if the consumer is divided.
    pub segment: Option<Segment>,
    /// The owner that holds it.
    pub owner: String,
    /// How often the lease was taken; 1 the first time.
    pub epoch: i64,
    /// The cursor when the lease was taken; `None` while the consumer has not left the start.
    pub cursor: Option<Position>,
    /// The message by which the cursor is recognised.
    pub anchor: Option<Anchor>,
    /// The position of the consumer before it was reset. Messages up to this position are handled
    /// again.
    pub replay_until: Option<Position>,
    /// The work that another holder had handed out, if its lease expired without a release. That
    /// holder ended unexpectedly, or took too long.
    pub left: Option<Work>,
    /// Up to this position, messages are handed out one at a time, because one of them may have
    /// ended its process.
    pub suspect_until: Option<Position>,
    /// What the consumer reads, as it is stored.
    pub identity: StoredIdentity,
}

/// A lease that lasts so much longer than a usual one was not written at a right time.
const UNUSUAL: TimeDelta = TimeDelta::hours(1);

/// Returns whether a lease ends later than a holder with this lease duration would have written.
/// The row does not contain the duration of its holder, so the holder can have a longer one.
pub(crate) fn ends_late(expires_at: DateTime<Utc>, now: DateTime<Utc>, duration: Duration) -> bool {
    let usual = TimeDelta::from_std(duration).ok();
    let latest = usual.and_then(|usual| usual.checked_add(&UNUSUAL));
    latest.is_some_and(|latest| expires_at - now > latest)
}

fn row_name<'a>(consumer: &'a str, segment: Option<&'a Segment>) -> &'a str {
    segment.map_or(consumer, |segment| &segment.name)
}

impl<'a> LeaseRequest<'a> {
    /// Returns the text that identifies the row: the consumer's name, or the segment's.
    #[must_use]
    pub fn row_name(&self) -> &'a str {
        row_name(self.consumer, self.segment)
    }

    /// Returns the consumer and its topic.
    #[must_use]
    pub fn key(&self) -> ConsumerKey<'a> {
        ConsumerKey {
            consumer: self.consumer,
            topic: self.topic,
        }
    }
}

impl Lease {
    /// Returns the consumer and its topic.
    #[must_use]
    pub fn key(&self) -> ConsumerKey<'_> {
        ConsumerKey {
            consumer: &self.consumer,
            topic: &self.topic,
        }
    }

    /// Returns the text that identifies the row: the consumer's name, or the segment's.
    #[must_use]
    pub fn row_name(&self) -> &str {
        row_name(&self.consumer, self.segment.as_ref())
    }

    /// Returns the place of the consumer.
    #[must_use]
    pub fn place(&self) -> Place {
        Place {
            cursor: self.cursor,
            anchor: self.anchor,
        }
    }

    /// Returns the position up to which messages are handled again if the cursor is moved from its
    /// present position.
    #[must_use]
    pub fn replayed_after_reset(&self) -> Option<Position> {
        self.replay_until.max(self.cursor)
    }
}
