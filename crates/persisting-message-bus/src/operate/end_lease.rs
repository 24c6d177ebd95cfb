use tracing::warn;

use crate::error::Error;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::key::ConsumerKey;

/// Ends the lease of a consumer on a topic, for any holder, and however late it ends. Returns
/// `false` if no holder has a lease. A consumer of several topics has a lease on each. If the consumer
/// is divided into segments, the leases of all segments end.
///
/// A lease ends by itself after its duration. If the clock of the database was wrong when the lease
/// was written, that can be years later. Call this function when the holder has ended. If the holder
/// is at work after all, it loses its lease ([`Error::is_lease_lost`]), stores nothing more, and takes
/// the lease again or becomes a standby. Its current message is then handled again.
///
/// For the next holder, the lease has expired: messages that the former holder had passed to its
/// handler are suspect.
///
/// ```
/// use persisting_message_bus::backend::{LeaseRequest, MessageConsumerState};
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::operate::{ConsumerKey, end_lease};
/// use std::time::Duration;
///
/// let mut bus = InMemoryMessageBus::default();
/// let key = ConsumerKey { consumer: "mailer", topic: "orders" };
/// let century = LeaseRequest {
///     consumer: key.consumer,
///     topic: key.topic,
///     segment: None,
///     owner: "process 7",
///     duration: Duration::from_secs(100 * 365 * 24 * 60 * 60),
///     identity: Default::default(),
///     hands_out: false,
/// };
/// let lost = bus.acquire(&century)?;
/// assert!(end_lease(&mut bus, key)?);
/// assert!(bus.renew(&lost, Duration::from_secs(30)).unwrap_err().is_lease_lost());
/// # Ok::<(), persisting_message_bus::Error>(())
/// ```
///
/// # Errors
///
/// If the state cannot be written. On PostgreSQL, if a transaction of the holder stays open for 5
/// seconds; on MySQL and MariaDB, for `innodb_lock_wait_timeout`. A retry can then succeed
/// ([`Error::is_retryable`]). Segments are ended one after the other, so the leases of some can have
/// ended before the error.
pub fn end_lease<B>(bus: &mut B, key: ConsumerKey<'_>) -> Result<bool, Error>
where
    B: MessageConsumerState + ?Sized,
{
    let ended = bus.end_lease(key)?;
    if ended {
        warn!(
            messaging.consumer.group.name = key.consumer,
            messaging.destination.name = key.topic,
            "lease ended by an operator"
        );
    }
    Ok(ended)
}
