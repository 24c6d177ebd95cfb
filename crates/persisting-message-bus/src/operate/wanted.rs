use crate::error::Error;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::event_set::EventSetRecord;
use crate::store::key::ConsumerKey;

/// Stores that a consumer does not want a message type any more. Returns `false` if the consumer
/// does not exist, or did not want the type.
///
/// A row stores the message types that the newest program of a consumer's name reads. An older
/// program waits before a message of a type that it does not know. After a roll-back, no newer
/// program comes, so this function lets the older one pass such messages.
///
/// ```
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::operate::{ConsumerKey, stop_wanting};
/// use persisting_message_bus::{EventSet, MessageConsumer, MessageDispatcher, Topic};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Placed {}
///
/// #[derive(Serialize, Deserialize)]
/// struct Cancelled {}
///
/// #[derive(Topic)]
/// #[topic(name = "orders")]
/// enum Orders { Placed(Placed), Cancelled(Cancelled) }
///
/// #[derive(EventSet)]
/// #[event_set(topic = Orders)]
/// enum Mails { Placed(Placed) }
///
/// let mut bus = InMemoryMessageBus::default();
/// let orders = MessageDispatcher::<Orders>::new();
/// orders.dispatch(&mut bus, &Placed {})?;
/// let mut newer = MessageConsumer::<Orders>::external("mailer", |_| Ok(()));
/// assert_eq!(newer.handle_new_messages(&mut bus)?, 1);
///
/// // The newer program is rolled back.
/// orders.dispatch(&mut bus, &Cancelled {})?;
/// orders.dispatch(&mut bus, &Placed {})?;
/// let mut older = MessageConsumer::<Mails>::external("mailer", |_| Ok(()));
/// assert!(older.handle_new_messages(&mut bus).unwrap_err().is_unknown_message());
/// assert!(stop_wanting(&mut bus, ConsumerKey::on::<Orders>("mailer"), "Cancelled")?);
/// assert_eq!(older.handle_new_messages(&mut bus)?, 1);
/// # Ok::<(), persisting_message_bus::Error>(())
/// ```
///
/// # Errors
///
/// If the state cannot be read or written.
pub fn stop_wanting<B>(bus: &mut B, key: ConsumerKey<'_>, message_type: &str) -> Result<bool, Error>
where
    B: MessageConsumerState + ?Sized,
{
    let Some((_, record)) = stored_event_set(bus, key)? else {
        return Ok(false);
    };
    let mut was_wanted = false;
    // Each row of the consumer stores the event set on all of its topics.
    for topic in record.topics.keys() {
        let row = ConsumerKey { topic, ..key };
        was_wanted |= remove(bus, row, key.topic, message_type)?;
    }
    Ok(was_wanted)
}

/// Returns the event set of a row, as it is stored and as it is read.
fn stored_event_set<B>(
    bus: &mut B,
    key: ConsumerKey<'_>,
) -> Result<Option<(String, EventSetRecord)>, Error>
where
    B: MessageConsumerState + ?Sized,
{
    let stored = bus.stored_consumer(key)?;
    let text = stored.and_then(|stored| stored.identity.event_set);
    Ok(text.and_then(|text| EventSetRecord::from_stored(&text).map(|record| (text, record))))
}

/// Removes the type from the event set of one row.
fn remove<B>(
    bus: &mut B,
    row: ConsumerKey<'_>,
    topic: &str,
    message_type: &str,
) -> Result<bool, Error>
where
    B: MessageConsumerState + ?Sized,
{
    // A newer program can change the row meanwhile, which happens only a few times in a row.
    for _ in 0..10 {
        let Some((before, mut record)) = stored_event_set(bus, row)? else {
            return Ok(false);
        };
        if !record.remove(topic, message_type) {
            return Ok(false);
        }
        // Its earlier messages need not be replayed either.
        if let Some(backfill) = &mut record.backfill
            && row.topic == topic
        {
            backfill.types.remove(message_type);
        }
        if bus.replace_event_set(row, &before, &record.to_stored())? {
            return Ok(true);
        }
    }
    let doing = format!("removing the type \"{message_type}\" from the stored event set");
    let cause = "the row was changed all the time";
    Err(Error::transient(doing, cause).of_consumer(row.consumer))
}
