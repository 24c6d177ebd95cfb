use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{Error, MessageFailures, Position, Work};

/// Keeps, by consumer name and topic, how far a consumer is and who may work on it.
///
/// Times are the state's own (in SQL the database's), never the caller's, so that holders on
/// machines whose clocks differ agree on when a lease has expired.
pub trait MessageConsumerState: MessageFailures {
    /// Takes the lease, when nobody else holds one that has not expired.
    ///
    /// Each time it is taken the epoch grows by one, which shuts out every earlier holder.
    ///
    /// # Errors
    ///
    /// [`Error::is_locked`] when another owner holds the lease; it names the owner and the time of
    /// expiry. Also when a name is too long, or the state cannot be read or written.
    fn acquire(&mut self, request: &LeaseRequest<'_>) -> Result<Lease, Error>;

    /// Notes what is handed out to the handler, up to where messages are handed out one at a time, and
    /// prolongs the lease.
    ///
    /// In a transaction, nobody takes the lease from then on until it ends.
    ///
    /// # Errors
    ///
    /// [`Error::is_lease_lost`] when another owner has taken the lease since, and nothing was noted; or
    /// when the state cannot be written.
    fn note_work(&mut self, lease: &Lease, note: &NoteWork) -> Result<(), Error>;

    /// Stores the cursor, and prolongs the lease or gives it back. With the lease, what was noted of the
    /// holder's work ends.
    ///
    /// In a transaction, nobody takes the lease from then on until it ends.
    ///
    /// # Errors
    ///
    /// [`Error::is_lease_lost`] when another owner has taken the lease since, and nothing was
    /// stored; or when the state cannot be written.
    fn store_cursor(&mut self, lease: &Lease, store: &StoreCursor) -> Result<(), Error>;

    /// Prolongs the lease, from now on, and leaves the cursor as it is.
    ///
    /// # Errors
    ///
    /// [`Error::is_lease_lost`] when another owner has taken the lease since, or it was given back; or
    /// when the state cannot be written.
    fn renew(&mut self, lease: &Lease, duration: Duration) -> Result<(), Error>;

    /// Gives the lease back and leaves the cursor as it is. Does nothing if the lease is lost.
    ///
    /// # Errors
    ///
    /// When the state cannot be written.
    fn release(&mut self, lease: &Lease) -> Result<(), Error>;

    /// Moves the cursor anywhere, gives the lease back, and forgets the failures that this makes void:
    /// of messages behind the new cursor, which come again, and of the one that it stood in front of.
    ///
    /// # Errors
    ///
    /// [`Error::is_lease_lost`] when another owner has taken the lease since, and nothing was moved; or
    /// when the state cannot be written.
    fn reset(&mut self, lease: &Lease, cursor: Option<Position>) -> Result<(), Error>;

    /// Lets the consumer rest behind the page at hand, or one that it is about to begin, until it is
    /// resumed; or resumes it. Says whether there is such a consumer: one that never ran cannot be paused.
    /// Waits for a transactional page that is at hand.
    ///
    /// # Errors
    ///
    /// When the state cannot be written.
    fn set_paused(&mut self, consumer: &str, topic: &str, paused: bool) -> Result<bool, Error>;

    /// How far the consumer is and who holds its lease; `None` if it never ran.
    ///
    /// # Errors
    ///
    /// When the state cannot be read.
    fn stored_consumer(
        &mut self,
        consumer: &str,
        topic: &str,
    ) -> Result<Option<StoredConsumer>, Error>;
}

/// Who wants the lease of which consumer, for how long.
#[derive(Debug, Clone, Copy)]
pub struct LeaseRequest<'a> {
    /// The consumer's name.
    pub consumer: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// Who wants it; unique for each holder.
    pub owner: &'a str,
    /// How long the lease lasts, in milliseconds (finer is cut off). Zero has expired at once.
    pub duration: Duration,
}

/// The right to be the one active consumer of a name on a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The consumer's name.
    pub consumer: String,
    /// The topic.
    pub topic: String,
    /// Who holds it.
    pub owner: String,
    /// How often the lease was taken; the first time it is 1.
    pub epoch: i64,
    /// The cursor when the lease was taken; `None` while the consumer has not left the start.
    pub cursor: Option<Position>,
    /// Up to where the consumer was before it was reset: what comes up to there is handled again.
    pub replay_until: Option<Position>,
    /// What another holder had handed out when its lease expired, if it did not give it back: so it ended
    /// without a word, or took too long.
    pub left: Option<Work>,
    /// Up to here, messages are handed out one at a time: one of them may have ended its process.
    pub suspect_until: Option<Position>,
}

impl Lease {
    /// Up to where messages are handled again when the cursor is moved from where it is.
    #[must_use]
    pub fn replayed_after_reset(&self) -> Option<Position> {
        self.replay_until.max(self.cursor)
    }
}

/// What a holder notes before it hands messages out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoteWork {
    /// What it hands out; `None` when it only keeps the lease.
    pub work: Option<Work>,
    /// Up to where messages are handed out one at a time; `None` where none is suspect.
    pub suspect_until: Option<Position>,
    /// How long the lease goes on from now.
    pub hold: Duration,
}

/// What a holder stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreCursor {
    /// The new cursor; `None` for a consumer that has not left the start. To go back, see
    /// [`reset`](MessageConsumerState::reset).
    pub cursor: Option<Position>,
    /// How long the lease goes on from now; `None` gives it back.
    pub hold: Option<Duration>,
}

/// What the state knows of a consumer on one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredConsumer {
    /// How far it is; `None` while it has not left the start.
    pub cursor: Option<Position>,
    /// Who holds the lease, also if that has expired.
    pub lease_owner: Option<String>,
    /// How often the lease was taken.
    pub lease_epoch: i64,
    /// When the lease expires or has expired.
    pub lease_expires_at: Option<DateTime<Utc>>,
    /// Since when it is paused, if it is.
    pub paused_at: Option<DateTime<Utc>>,
    /// When its cursor moved for the last time; `None` if it never did.
    pub cursor_moved_at: Option<DateTime<Utc>>,
    /// What was handed out under the lease, if it was not given back.
    pub work: Option<Work>,
    /// Up to where messages are handed out one at a time.
    pub suspect_until: Option<Position>,
    /// The lowest position of a message that was parked and waits to be handled again.
    pub first_redriven: Option<Position>,
    /// The lowest position of a message that is given up as soon as those before it are handled: something of it
    /// is [final](crate::FailureState::Final).
    pub first_final: Option<Position>,
    /// The present time by the state's clock.
    pub now: DateTime<Utc>,
}
