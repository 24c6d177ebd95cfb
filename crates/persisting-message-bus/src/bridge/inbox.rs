use std::time::Duration;

use crate::error::Error;
use crate::message::name;
use crate::store::inbox::{InboxEntry, InboxKey, MessageInbox};
use crate::store::transactions::TransactionControl;

/// Handles messages from outside once, however often they arrive: from a webhook, a broker, a feed.
///
/// ```
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::{Error, Inbox, InboxKey};
///
/// let mut bus = InMemoryMessageBus::default();
/// let inbox = Inbox::new(InboxKey {
///     consumer: "billing",
///     source: "https://payments.example/webhook",
/// })?;
/// let mut bookings = 0;
/// for _delivery in 0..3 {
///     inbox.process_once(&mut bus, "evt_4711", |_bus| {
///         bookings += 1; // through the bus's connection, in the same transaction
///         Ok::<(), Error>(())
///     })?;
/// }
/// assert_eq!(bookings, 1);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbox {
    consumer: String,
    source: String,
    retention: Duration,
}

impl Inbox {
    /// Creates an inbox for the messages that a consumer receives from a source.
    ///
    /// # Errors
    ///
    /// [`Error::is_invalid_name`] if a name is empty, is longer than
    /// [`MAX_NAME_LENGTH`](crate::backend::MAX_NAME_LENGTH), has control or invisible format characters, or
    /// starts or ends with white space.
    pub fn new(key: InboxKey<'_>) -> Result<Self, Error> {
        name::validate("consumer", key.consumer)?;
        name::validate("source", key.source)?;
        Ok(Self {
            consumer: key.consumer.to_owned(),
            source: key.source.to_owned(),
            retention: Duration::from_secs(7 * 24 * 60 * 60),
        })
    }

    /// Sets how long the inbox remembers messages. Default: 7 days. It must not be shorter than the
    /// time within which the source can send a message again. Zero means that each call of
    /// [`prune`](Self::prune) forgets every message.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Runs `handle` in a transaction. Returns `None` if the message was handled before.
    ///
    /// The id has at most [`MAX_NAME_LENGTH`](crate::backend::MAX_NAME_LENGTH) characters. The effects that
    /// `handle` has through the bus happen exactly once. If `handle` fails, they are rolled back,
    /// and the message can be received again.
    ///
    /// # Errors
    ///
    /// - The error that `handle` returns.
    /// - [`Error::is_invalid_name`] if the id cannot be stored.
    /// - If the inbox cannot be written.
    pub fn process_once<B, T, E>(
        &self,
        bus: &mut B,
        message_id: &str,
        handle: impl FnOnce(&mut B) -> Result<T, E>,
    ) -> Result<Option<T>, E>
    where
        B: MessageInbox + TransactionControl,
        E: From<Error>,
    {
        let received = self.entry(message_id)?;
        bus.in_transaction(|bus| {
            if bus.receive(&received)? {
                handle(bus).map(Some)
            } else {
                Ok(None)
            }
        })
    }

    /// Forgets messages that were received longer ago than the [`retention`](Self::retention);
    /// returns their number. Call it from time to time, for example once a day, and outside of a
    /// transaction: it then commits after each 1,000 messages, and publishers and receivers can
    /// write in between.
    ///
    /// # Errors
    ///
    /// If the inbox cannot be written. Earlier batches are forgotten.
    pub fn prune<B>(&self, bus: &mut B) -> Result<u64, Error>
    where
        B: MessageInbox + ?Sized,
    {
        let (key, retention) = self.pruned();
        bus.prune_inbox(key, retention)
    }

    /// Returns a message as the inbox records it, if the id can be stored.
    pub(crate) fn entry<'a>(&'a self, message_id: &'a str) -> Result<InboxEntry<'a>, Error> {
        name::validate("message id", message_id)?;
        Ok(InboxEntry {
            consumer: &self.consumer,
            source: &self.source,
            message_id,
        })
    }

    /// Returns which messages are forgotten, and after what time.
    pub(crate) fn pruned(&self) -> (InboxKey<'_>, Duration) {
        let key = InboxKey {
            consumer: &self.consumer,
            source: &self.source,
        };
        (key, self.retention)
    }
}
