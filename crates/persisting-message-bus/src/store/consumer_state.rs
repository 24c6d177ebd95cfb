use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::error::Error;
use crate::position::Position;
use crate::store::failures::MessageFailures;
use crate::store::identity::{ConsumerIdentity, StoredIdentity};
use crate::store::key::ConsumerKey;
use crate::store::lease::{Lease, LeaseRequest};
use crate::store::place::{Anchor, Place};
use crate::store::segment::{Division, Segment};
use crate::store::work::Work;

/// Keeps, by consumer name and topic, the cursor of a consumer and its lease.
///
/// Times come from the clock of the state (in SQL, of the database), never from the caller's.
/// Holders on machines with different clocks therefore agree on when a lease has expired.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not keep the state of consumers",
    label = "not a connection",
    note = "pass a Diesel connection: from a pool, `&mut pool.get()?`; from a mutex, `&mut *guard`; with other table names, `&mut schema.bind(&mut connection)`",
    note = "for `PgConnection`, `SqliteConnection` or `MysqlConnection`, turn on the feature `postgres`, `sqlite` or `mysql` of `persisting-message-bus`; for pooled connections, also `r2d2`",
    note = "for a connection of diesel-async, run the consumer with `persisting_message_bus::asynchronous::Runner`"
)]
pub trait MessageConsumerState: MessageFailures {
    /// Takes the lease, unless another owner holds a lease that has not expired.
    ///
    /// Each acquisition increments the epoch by one, which fences every earlier holder. If the request
    /// says so, the work of the holder is noted, too.
    ///
    /// # Errors
    ///
    /// - [`Error::is_lease_held`] if another owner holds the lease. The error names the owner and
    ///   the time of expiry.
    /// - If a name is too long, or the state cannot be read or written.
    fn acquire(&mut self, request: &LeaseRequest<'_>) -> Result<Lease, Error>;

    /// Notes which messages are handed to the handler, and up to which position messages are handed
    /// out one at a time. Renews the lease.
    ///
    /// Inside a transaction, no other owner can take the lease until the transaction ends.
    ///
    /// # Errors
    ///
    /// - [`Error::is_lease_lost`] if another owner has taken the lease since. Nothing was noted.
    /// - If the state cannot be written.
    fn note_work(&mut self, lease: &Lease, note: &NoteWork) -> Result<(), Error>;

    /// Stores the cursor, and renews or releases the lease. A release also clears the work that the
    /// holder has noted.
    ///
    /// Inside a transaction, no other owner can take the lease until the transaction ends.
    ///
    /// # Errors
    ///
    /// - [`Error::is_lease_lost`] if another owner has taken the lease since. Nothing was stored.
    /// - If the state cannot be written.
    fn store_cursor(&mut self, lease: &Lease, store: &CursorUpdate) -> Result<(), Error>;

    /// Renews the lease from now on, and leaves the cursor unchanged. Where rows are locked, it does not wait
    /// for a transaction that has locked the row of the lease.
    ///
    /// # Errors
    ///
    /// - [`Error::is_lease_lost`] if another owner has taken the lease since, or if it was
    ///   released.
    /// - [`Error::is_retryable`] if another transaction has locked the row. The lease still ends when it
    ///   would have ended.
    /// - If the state cannot be written.
    fn renew(&mut self, lease: &Lease, duration: Duration) -> Result<(), Error>;

    /// Releases the lease, and leaves the cursor unchanged. Does nothing if the lease is lost.
    ///
    /// # Errors
    ///
    /// If the state cannot be written.
    fn release(&mut self, lease: &Lease) -> Result<(), Error>;

    /// Ends the lease of any holder, as if it expired now, and increments the epoch, which fences
    /// the holder. Keeps the work that the holder has noted. If the consumer is divided, the leases of
    /// all its segments end, one after the other. Returns `false` if no holder has a lease, expired or
    /// not.
    ///
    /// # Errors
    ///
    /// If the state cannot be written, or a transaction of the holder stays open
    /// ([`Error::is_retryable`]).
    fn end_lease(&mut self, key: ConsumerKey<'_>) -> Result<bool, Error>;

    /// Moves the cursor to any place, releases the lease, and forgets the failures that the move
    /// makes obsolete: those after the new cursor, because these messages come again, and that of
    /// the message before which the cursor stood.
    ///
    /// # Errors
    ///
    /// - [`Error::is_lease_lost`] if another owner has taken the lease since. Nothing was moved.
    /// - If the state cannot be written.
    fn reset(&mut self, lease: &Lease, place: Place) -> Result<(), Error>;

    /// Stores what the consumer reads, if the stored event set is still that of the lease.
    ///
    /// # Errors
    ///
    /// - [`Error::is_lease_lost`] if another owner has taken the lease since, or if the event set was
    ///   [replaced](Self::replace_event_set) since. Nothing was stored.
    /// - If the state cannot be written.
    fn identify(&mut self, lease: &Lease, identity: ConsumerIdentity<'_>) -> Result<(), Error>;

    /// Replaces the stored event set of a consumer, if it is still `before`, and that of each segment
    /// that still has `before`. Returns `true` if one of them was replaced.
    ///
    /// # Errors
    ///
    /// If the state cannot be written.
    fn replace_event_set(
        &mut self,
        key: ConsumerKey<'_>,
        before: &str,
        after: &str,
    ) -> Result<bool, Error>;

    /// Gives a consumer another name, with its cursors, segments, failed messages and inbox. Returns
    /// `false` if there is no consumer `from`. All changes take effect together.
    ///
    /// A program that still uses the old name would start again at the start of its topics. Stop
    /// such programs before you call this.
    ///
    /// # Errors
    ///
    /// - [`Error::is_lease_held`] if a consumer of that name, or one of its segments, is at work.
    ///   Nothing was renamed.
    /// - If a consumer `to` exists, a name is invalid, or the state cannot be written.
    fn rename(&mut self, from: &str, to: &str) -> Result<bool, Error>;

    /// Pauses the consumer after its current time slice, until it is resumed. Waits for a
    /// transactional page that is being handled. Returns `false` if the consumer does not exist: a
    /// consumer that has never run cannot be paused.
    ///
    /// # Errors
    ///
    /// If the state cannot be written.
    fn pause(&mut self, key: ConsumerKey<'_>) -> Result<bool, Error>;

    /// Ends a pause. Returns `false` if the consumer does not exist.
    ///
    /// # Errors
    ///
    /// If the state cannot be written.
    fn resume(&mut self, key: ConsumerKey<'_>) -> Result<bool, Error>;

    /// Abandons the connection to the state, as [`MessageSource::abandon_source`] does. The default
    /// implementation does nothing.
    ///
    /// [`MessageSource::abandon_source`]: crate::backend::MessageSource::abandon_source
    fn abandon_state(&mut self) {}

    /// Returns the stored state of a consumer; `None` if it has never run.
    ///
    /// # Errors
    ///
    /// If the state cannot be read.
    fn stored_consumer(&mut self, key: ConsumerKey<'_>) -> Result<Option<ConsumerRow>, Error>;

    /// Returns the stored state of a consumer, and at the same time asks for the high-water mark of its
    /// topic, as [`high_water_mark_beyond`] does. So a consumer that was woken waits for one answer
    /// instead of two. The default implementation asks for the state only.
    ///
    /// Only a state that has its messages on the same connection can ask both questions.
    ///
    /// [`high_water_mark_beyond`]: crate::backend::MessageSource::high_water_mark_beyond
    ///
    /// # Errors
    ///
    /// Those of the two questions.
    fn stored_consumer_and_mark(
        &mut self,
        key: ConsumerKey<'_>,
        _after: Position,
    ) -> Result<(Option<ConsumerRow>, MarkBeyond), Error> {
        Ok((self.stored_consumer(key)?, MarkBeyond::NotAsked))
    }

    /// Divides a consumer into segments on several topics, where they begin at its cursors, and releases
    /// its leases. Afterwards, only the segments' leases can be taken for work. All changes take effect
    /// together.
    ///
    /// The default implementations of this method and of the four below fail: a state need not keep
    /// segments.
    ///
    /// # Errors
    ///
    /// - [`Error::is_lease_lost`] if another owner has taken the lease since. Nothing was divided.
    /// - If the state cannot be written, or does not keep segments.
    fn divide(&mut self, leases: &[Lease], _division: Division) -> Result<(), Error> {
        let consumer = leases.first().map_or("", |lease| &lease.consumer);
        Err(without_segments().of_consumer(consumer))
    }

    /// Returns all segments of a consumer that is divided so, lowest number first.
    ///
    /// # Errors
    ///
    /// If the state cannot be read, does not keep segments, or contains other segments than those of
    /// the division.
    fn segments(
        &mut self,
        key: ConsumerKey<'_>,
        _division: Division,
    ) -> Result<Vec<SegmentRow>, Error> {
        Err(without_segments().of_consumer(key.consumer))
    }

    /// Returns the stored state of a segment; `None` if there is no such segment.
    ///
    /// # Errors
    ///
    /// If the state cannot be read, or does not keep segments.
    fn stored_segment(
        &mut self,
        key: ConsumerKey<'_>,
        _segment: &Segment,
    ) -> Result<Option<ConsumerRow>, Error> {
        Err(without_segments().of_consumer(key.consumer))
    }

    /// Replaces the stored division of a consumer, if it is still `before`, and leaves the segments
    /// unchanged. Returns `true` if it was.
    ///
    /// # Errors
    ///
    /// If the state cannot be written, or does not keep segments.
    fn change_division(
        &mut self,
        key: ConsumerKey<'_>,
        _before: Division,
        _after: Division,
    ) -> Result<bool, Error> {
        Err(without_segments().of_consumer(key.consumer))
    }

    /// Replaces the segments of a consumer on several topics, if the stored divisions are still those of
    /// the changes. Returns `true` if they were. All changes take effect together.
    ///
    /// The epochs of the new segments begin after the highest epoch of the old ones, so no late write of
    /// an earlier holder can fit.
    ///
    /// # Errors
    ///
    /// - [`Error::is_lease_lost`] if another owner has taken one of the leases since. Nothing was
    ///   replaced.
    /// - If the state cannot be written, or does not keep segments.
    fn replace_segments(&mut self, changes: &[SegmentChange<'_>]) -> Result<bool, Error> {
        let consumer = changes.first().map_or("", |change| change.key.consumer);
        Err(without_segments().of_consumer(consumer))
    }
}

/// Other segments of a consumer on one topic.
#[derive(Debug)]
pub struct SegmentChange<'a> {
    /// The consumer and the topic.
    pub key: ConsumerKey<'a>,
    /// The stored division.
    pub before: Division,
    /// The new division.
    pub after: Division,
    /// The leases of all segments.
    pub leases: Vec<Lease>,
    /// The place at which the new segments begin.
    pub place: Place,
}

impl SegmentChange<'_> {
    /// Returns the position up to which messages of the new segments are replays: the highest one of
    /// the old segments.
    #[must_use]
    pub fn replay_until(&self) -> Option<Position> {
        self.leases
            .iter()
            .filter_map(|lease| lease.replay_until)
            .max()
    }
}

/// Returns the error of a state that keeps no segments.
fn without_segments() -> Error {
    let problem = "this consumer state does not keep segments; keep the state in a SQL database, or \
        run the consumer without `ParallelConsumer`";
    Error::permanent("dividing the consumer into segments", problem)
}

/// The stored state of a segment on one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentRow {
    /// The segment.
    pub segment: Segment,
    /// Its cursor, lease and failures.
    pub row: ConsumerRow,
}

/// The high-water mark of a topic that may have a message after a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkBeyond {
    /// The source must be asked.
    NotAsked,
    /// The answer of the source. `None` if no message after the position is visible.
    Asked(Option<Position>),
}

/// What a holder notes before it hands out messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoteWork {
    /// The messages that it hands out; `None` if it only keeps the lease.
    pub work: Option<Work>,
    /// The position up to which messages are handed out one at a time; `None` if no message is
    /// suspect.
    pub suspect_until: Option<Position>,
    /// The duration of the lease from now on.
    pub extend_lease: Duration,
}

/// What a holder stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CursorUpdate {
    /// The new cursor and its anchor. To move the cursor back, use
    /// [`reset`](MessageConsumerState::reset).
    pub place: Place,
    /// The duration of the lease from now on; `None` releases it.
    pub extend_lease: Option<Duration>,
}

/// The stored state of a consumer on one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerRow {
    /// Its cursor; `None` while it has not left the start.
    pub cursor: Option<Position>,
    /// The message by which the cursor is recognised.
    pub anchor: Option<Anchor>,
    /// The lease holder, even if the lease has expired.
    pub lease_owner: Option<String>,
    /// How often the lease was taken.
    pub lease_epoch: i64,
    /// The time at which the lease expires or has expired.
    pub lease_expires_at: Option<DateTime<Utc>>,
    /// The time at which it was paused; `None` if it is not paused.
    pub paused_at: Option<DateTime<Utc>>,
    /// The time at which its cursor last moved; `None` if it never did.
    pub cursor_moved_at: Option<DateTime<Utc>>,
    /// The work that was handed out under the lease; `None` after a release.
    pub work: Option<Work>,
    /// The position up to which messages are handed out one at a time.
    pub suspect_until: Option<Position>,
    /// The lowest position of a redriven message, which waits to be handled again.
    pub first_redriven: Option<Position>,
    /// The lowest position of a [final](crate::operate::FailureState::Final) message. The failure
    /// policy applies to it as soon as the messages before it are handled.
    pub first_final: Option<Position>,
    /// What it reads.
    pub identity: StoredIdentity,
    /// How the consumer is divided; `None` if it is not, and in the row of a segment.
    pub division: Option<Division>,
    /// The current time by the state's clock.
    pub now: DateTime<Utc>,
}

impl ConsumerRow {
    /// Returns the place of the consumer.
    #[must_use]
    pub fn place(&self) -> Place {
        Place {
            cursor: self.cursor,
            anchor: self.anchor,
        }
    }
}
