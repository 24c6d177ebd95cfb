use std::time::Duration;

use crate::{Error, Transactions, name};

/// Keeps which messages from outside were received, so that each is handled once.
pub trait MessageInbox {
    /// Notes a message, and says whether it was not noted before. Belongs into the transaction of its
    /// effects: whoever receives the same message meanwhile waits until that ends.
    ///
    /// # Errors
    ///
    /// When the inbox cannot be written.
    fn receive(&mut self, received: &Received<'_>) -> Result<bool, Error>;

    /// Forgets what a consumer received from a source longer ago than the window; returns how many
    /// messages that were.
    ///
    /// # Errors
    ///
    /// When the inbox cannot be written.
    fn prune_inbox(&mut self, consumer: &str, source: &str, window: Duration)
    -> Result<u64, Error>;
}

/// A message from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received<'a> {
    /// Who handles it.
    pub consumer: &'a str,
    /// Where it came from: ids of different sources may be the same.
    pub source: &'a str,
    /// Its id there.
    pub message_id: &'a str,
}

/// Handles messages from outside once, however often they come: from a webhook, a broker, a feed.
///
/// ```
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::{Error, Inbox};
///
/// let mut bus = InMemoryMessageBus::default();
/// let inbox = Inbox::new("billing", "https://payments.example/webhook")?;
/// let mut bookings = 0;
/// for _delivery in 0..3 {
///     inbox.once(&mut bus, "evt_4711", |_bus| {
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
    window: Duration,
}

impl Inbox {
    /// For what a consumer receives from a source.
    ///
    /// # Errors
    ///
    /// [`Error::is_invalid_name`]: a name is empty, longer than
    /// [`MAX_NAME_LENGTH`](crate::MAX_NAME_LENGTH), has control characters, or white space at its ends.
    pub fn new(consumer: impl Into<String>, source: impl Into<String>) -> Result<Self, Error> {
        let (consumer, source) = (consumer.into(), source.into());
        name::validate("consumer", &consumer)?;
        name::validate("source", &source)?;
        Ok(Self {
            consumer,
            source,
            window: Duration::from_secs(7 * 24 * 60 * 60),
        })
    }

    /// Sets for how long messages are remembered; 7 days without this. It must not be shorter than the
    /// time for which the source may send them again. Zero forgets all when [`prune`](Self::prune) is
    /// called.
    #[must_use]
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Runs `handle` in a transaction, unless the message was handled before; then it returns `None`.
    ///
    /// The id has at most [`MAX_NAME_LENGTH`](crate::MAX_NAME_LENGTH) characters. The effects that
    /// `handle` has through the bus happen exactly once; when it fails, they are rolled back, and the
    /// message may come again.
    ///
    /// # Errors
    ///
    /// What `handle` returns; [`Error::is_invalid_name`] when the id cannot be stored; or when the inbox
    /// cannot be written.
    pub fn once<B, T, E>(
        &self,
        bus: &mut B,
        message_id: &str,
        handle: impl FnOnce(&mut B) -> Result<T, E>,
    ) -> Result<Option<T>, E>
    where
        B: MessageInbox + Transactions,
        E: From<Error>,
    {
        name::validate("message id", message_id)?;
        bus.in_transaction(|bus| {
            let received = Received {
                consumer: &self.consumer,
                source: &self.source,
                message_id,
            };
            if bus.receive(&received)? {
                handle(bus).map(Some)
            } else {
                Ok(None)
            }
        })
    }

    /// Forgets what was received longer ago than the window; returns how many messages that were. Call it
    /// from time to time, once a day for example.
    ///
    /// # Errors
    ///
    /// When the inbox cannot be written.
    pub fn prune<B>(&self, bus: &mut B) -> Result<u64, Error>
    where
        B: MessageInbox + ?Sized,
    {
        bus.prune_inbox(&self.consumer, &self.source, self.window)
    }
}
