use std::time::Duration;

use crate::error::Error;

/// Remembers which messages from outside were received, so that each is handled once.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no inbox",
    label = "not a connection",
    note = "pass a Diesel connection: from a pool, `&mut pool.get()?`; from a mutex, `&mut *guard`; with other table names, `&mut schema.bind(&mut connection)`",
    note = "for `PgConnection`, `SqliteConnection` or `MysqlConnection`, turn on the feature `postgres`, `sqlite` or `mysql` of `persisting-message-bus`; for pooled connections, also `r2d2`",
    note = "for a connection of diesel-async, use `persisting_message_bus::asynchronous::Inbox`"
)]
pub trait MessageInbox {
    /// Records a message and returns `true` if it is new. Call it in the transaction that applies
    /// the message. A concurrent receiver of the same message blocks until that transaction ends.
    ///
    /// # Errors
    ///
    /// If the inbox cannot be written.
    fn receive(&mut self, received: &InboxEntry<'_>) -> Result<bool, Error>;

    /// Forgets messages that a consumer received from a source longer ago than `retention`; returns
    /// their number.
    ///
    /// The databases do so in batches of 1,000 messages, so that other writers need not wait for
    /// all of them. Outside of a transaction, each batch is committed by itself, and is followed by a
    /// pause that takes as long as the batch did, at most 100 ms.
    ///
    /// # Errors
    ///
    /// If the inbox cannot be written. Earlier batches are forgotten.
    fn prune_inbox(&mut self, key: InboxKey<'_>, retention: Duration) -> Result<u64, Error>;
}

/// A message from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxEntry<'a> {
    /// The consumer that handles it.
    pub consumer: &'a str,
    /// The source that it came from. Ids of different sources can be equal.
    pub source: &'a str,
    /// Its id at the source.
    pub message_id: &'a str,
}

/// A consumer and the place from which it receives messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InboxKey<'a> {
    /// The consumer's name.
    pub consumer: &'a str,
    /// The source: message ids of different sources can be the same.
    pub source: &'a str,
}
