use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::{Error, Position};

/// Keeps, by consumer name and topic, how far a consumer is and who may work on it.
///
/// Times are the state's own (in SQL the database's), never the caller's, so that holders on
/// machines whose clocks differ agree on when a lease has expired.
pub trait MessageConsumerState {
    /// Takes the lease, when nobody else holds one that has not expired.
    ///
    /// Each time it is taken the epoch grows by one, which shuts out every earlier holder.
    ///
    /// # Errors
    ///
    /// [`Error::is_locked`] when another owner holds the lease; it names the owner and the time of
    /// expiry. Also when a name is too long, or the state cannot be read or written.
    fn acquire(&mut self, request: &LeaseRequest<'_>) -> Result<Lease, Error>;

    /// Stores the cursor, and prolongs the lease or gives it back.
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

    /// How far the consumer is and who holds its lease; `None` if it never ran.
    ///
    /// # Errors
    ///
    /// When the state cannot be read.
    fn consumer_status(
        &mut self,
        consumer: &str,
        topic: &str,
    ) -> Result<Option<ConsumerStatus>, Error>;
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
}

/// What a holder stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreCursor {
    /// The new cursor; `None` sends the consumer back to the start, as if it had never run.
    pub cursor: Option<Position>,
    /// How long the lease goes on from now; `None` gives it back.
    pub hold: Option<Duration>,
}

/// What the state knows of a consumer on one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerStatus {
    /// How far it is; `None` while it has not left the start.
    pub cursor: Option<Position>,
    /// Who holds the lease, also if that has expired.
    pub lease_owner: Option<String>,
    /// How often the lease was taken.
    pub lease_epoch: i64,
    /// When the lease expires or has expired.
    pub lease_expires_at: Option<DateTime<Utc>>,
}
