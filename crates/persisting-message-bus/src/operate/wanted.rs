use std::collections::BTreeSet;

use crate::error::Error;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::event_set::EventSetRecord;
use crate::store::key::ConsumerKey;
use crate::store::segment_rows::read_with_segments;

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
    let stored = stored_event_sets(bus, key)?;
    let topics = stored.into_iter().flat_map(|(_, record)| record.topics);
    let topics: BTreeSet<_> = topics.map(|(topic, _)| topic).collect();
    let mut was_wanted = false;
    // Each row of the consumer stores the event set on all of its topics.
    for topic in &topics {
        let row = ConsumerKey { topic, ..key };
        was_wanted |= remove(bus, row, key.topic, message_type)?;
    }
    Ok(was_wanted)
}

/// Returns the event sets of a consumer's row and of its segments, as they are stored and as they
/// are read. Segments are changed one after the other, so their event sets can differ.
fn stored_event_sets<B>(
    bus: &mut B,
    key: ConsumerKey<'_>,
) -> Result<Vec<(String, EventSetRecord)>, Error>
where
    B: MessageConsumerState + ?Sized,
{
    let (stored, segments) = read_with_segments(bus, key)?;
    let rows = stored
        .into_iter()
        .chain(segments.into_iter().map(|it| it.row));
    let texts: BTreeSet<_> = rows.filter_map(|row| row.identity.event_set).collect();
    let records = texts
        .into_iter()
        .filter_map(|text| EventSetRecord::from_stored(&text).map(|record| (text, record)));
    Ok(records.collect())
}

/// Removes the type from the event sets on one topic.
fn remove<B>(
    bus: &mut B,
    row: ConsumerKey<'_>,
    topic: &str,
    message_type: &str,
) -> Result<bool, Error>
where
    B: MessageConsumerState + ?Sized,
{
    let mut was_wanted = false;
    // A newer program can change a row meanwhile, which happens only a few times in a row.
    for _ in 0..10 {
        let mut is_wanted = false;
        for (before, mut record) in stored_event_sets(bus, row)? {
            if !record.remove(topic, message_type) {
                continue;
            }
            is_wanted = true;
            // Its earlier messages need not be replayed either.
            if let Some(backfill) = &mut record.backfill
                && row.topic == topic
            {
                backfill.types.remove(message_type);
            }
            was_wanted |= bus.replace_event_set(row, &before, &record.to_stored())?;
        }
        if !is_wanted {
            return Ok(was_wanted);
        }
    }
    let doing = format!("removing the type \"{message_type}\" from the stored event set");
    let cause = "the row was changed all the time";
    Err(Error::transient(doing, cause).of_consumer(row.consumer))
}
