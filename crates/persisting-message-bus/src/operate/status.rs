use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::consume::recognise::{check_page, check_place};
use crate::error::Error;
use crate::position::Position;
use crate::store::consumer_state::{ConsumerRow, MessageConsumerState};
use crate::store::event_set::{Backfill, EventSetRecord};
use crate::store::failures::{FailedMessage, FailedMessagesRequest, FailureState};
use crate::store::key::ConsumerKey;
use crate::store::lease::ends_late;
use crate::store::place::MessageAt;
use crate::store::slot_observations::SlotObservations;
use crate::store::source::{Backlog, MessageSource};

/// The state of a consumer on one topic, for operators and for programs that monitor it.
///
/// ```
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::operate::{ConsumerCondition, ConsumerKey, ConsumerStatus};
///
/// let mut bus = InMemoryMessageBus::default();
/// let key = ConsumerKey { consumer: "mailer", topic: "orders" };
/// let status = ConsumerStatus::read(&mut bus, key)?;
/// assert_eq!(status.condition, ConsumerCondition::NeverRan);
/// assert_eq!(status.lag_messages, 0);
/// # Ok::<(), persisting_message_bus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ConsumerStatus {
    /// Its name.
    pub consumer: String,
    /// The topic.
    pub topic: String,
    /// Its condition.
    pub condition: ConsumerCondition,
    /// The position up to which it has finished; `None` while it has not left the start.
    pub cursor: Option<Position>,
    /// The topic's head. `None` if it is unknown because publishers are in flight.
    pub head: Option<Position>,
    /// The number of the topic's messages after the cursor, of all types.
    pub lag_messages: u64,
    /// The age of the first message after the cursor, in seconds since it was recorded; zero if
    /// there is none. The clock is that of the consumer state, or of this process if the consumer
    /// never ran.
    pub lag_seconds: f64,
    /// The lease holder, or the last one if the lease has expired; `None` after a release.
    pub lease_owner: Option<String>,
    /// The time at which the lease expires or has expired.
    pub lease_expires_at: Option<DateTime<Utc>>,
    /// The reason why the lease may last too long: it ends more than an hour from now, by the clock
    /// of the consumer state. `None` if it does not.
    pub lease_problem: Option<String>,
    /// The time at which the cursor last moved; `None` if it never did.
    pub cursor_moved_at: Option<DateTime<Utc>>,
    /// The time at which it was paused; `None` if it is not paused.
    pub paused_at: Option<DateTime<Utc>>,
    /// The reason why its cursor does not count in this source; `None` if it does.
    pub problem: Option<String>,
    /// The message on which it fails, with the last error; `None` if it does not fail.
    pub failure: Option<FailedMessage>,
    /// The number of parked messages.
    pub parked_messages: u64,
    /// The number of redriven messages, which wait to be handled again.
    pub redriven_messages: u64,
}

/// The condition of a consumer. The first variant that applies is used.
///
/// ```
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::operate::{ConsumerCondition, ConsumerKey, ConsumerStatus};
/// use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, RetryPolicy, Topic};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderPlaced {}
///
/// #[derive(Topic)]
/// #[topic(name = "orders")]
/// enum Orders { OrderPlaced(OrderPlaced) }
///
/// let mut bus = InMemoryMessageBus::default();
/// MessageDispatcher::<Orders>::new().dispatch(&mut bus, &OrderPlaced {})?;
/// let failing = |_: &Message<Orders>| Err("out of stock".into());
/// let mut consumer = MessageConsumer::<Orders>::external("mailer", failing)
///     .retry(RetryPolicy::default().max_attempts(1));
/// consumer.handle_page(&mut bus).unwrap_err();
///
/// let status = ConsumerStatus::read(&mut bus, ConsumerKey::on::<Orders>("mailer"))?;
/// assert_eq!(status.condition, ConsumerCondition::Stopped);
/// assert!(status.failure.is_some_and(|failed| failed.error.contains("out of stock")));
/// # Ok::<(), persisting_message_bus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConsumerCondition {
    /// No consumer of that name has handled anything on the topic.
    NeverRan,
    /// Its cursor does not count in this source, for example because the database was restored. The
    /// consumer stops at its next poll ([`Error::is_broken_cursor`]).
    BrokenCursor,
    /// It was paused.
    Paused,
    /// It has stopped before a message that keeps failing.
    Stopped,
    /// It has failed on a message and retries it.
    Failing,
    /// It waits before a message whose type or version its program does not know. A newer program
    /// can handle the message.
    UnknownType,
    /// A lease holder has moved the cursor in the last 10 seconds.
    Working,
    /// The lease is held, and the cursor has not moved for 10 seconds. One message takes long, or
    /// the holder has ended unexpectedly and its lease has not expired yet.
    Held,
    /// Messages wait, and no consumer holds the lease.
    Lagging,
    /// No messages wait.
    CaughtUp,
}

/// The longest time without progress that counts as working. A slow page stores its cursor every
/// second.
const RECENT: TimeDelta = TimeDelta::seconds(10);

impl ConsumerStatus {
    /// Reads the status without disturbing the consumer.
    ///
    /// The cost of counting grows with the number of messages after the cursor.
    ///
    /// # Errors
    ///
    /// If the bus cannot be read, or cannot determine the topic's high-water mark
    /// ([`MessageSource::high_water_mark`]).
    pub fn read<B>(bus: &mut B, key: ConsumerKey<'_>) -> Result<Self, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        let stored = bus.stored_consumer(key)?;
        let cursor = stored.as_ref().and_then(|stored| stored.cursor);
        let after = cursor.unwrap_or_default();
        let backfill = stored.as_ref().and_then(backfill_of);
        let failure = failure_after(bus, key, after, backfill.as_ref())?;
        let (head, problem) = head_and_problem(bus, key.topic, stored.as_ref())?;
        // A cursor that does not count has no messages after it.
        let backlog = match problem {
            Some(_) => Backlog::default(),
            None => bus.backlog(key.topic, after)?,
        };
        let now = stored.as_ref().map_or_else(Utc::now, |stored| stored.now);
        let age = backlog.oldest.map(|oldest| now - oldest);
        let age = age.and_then(|age| age.to_std().ok()).unwrap_or_default();
        let redriven_messages = bus.count_failed(key, FailureState::Redriven)?;
        let waiting = backlog.messages + redriven_messages;
        let condition = match problem {
            Some(_) => ConsumerCondition::BrokenCursor,
            None => condition(stored.as_ref(), failure.as_ref(), waiting),
        };
        let lease_problem = stored.as_ref().and_then(lease_problem);
        let cursor_moved_at = stored.as_ref().and_then(|stored| stored.cursor_moved_at);
        let (lease_owner, lease_expires_at, paused_at) = stored
            .map(|stored| {
                (
                    stored.lease_owner,
                    stored.lease_expires_at,
                    stored.paused_at,
                )
            })
            .unwrap_or_default();
        Ok(Self {
            consumer: key.consumer.to_owned(),
            topic: key.topic.to_owned(),
            condition,
            cursor,
            head,
            lag_messages: backlog.messages,
            lag_seconds: age.as_secs_f64(),
            lease_owner,
            lease_expires_at,
            lease_problem,
            cursor_moved_at,
            paused_at,
            problem,
            failure,
            parked_messages: bus.count_parked(key)?,
            redriven_messages,
        })
    }
}

/// Returns the message on which the consumer fails. Only messages after the cursor count, because
/// the state keeps overcome failures until the next failure.
fn failure_after<B>(
    bus: &mut B,
    key: ConsumerKey<'_>,
    after: Position,
    backfill: Option<&Backfill>,
) -> Result<Option<FailedMessage>, Error>
where
    B: MessageConsumerState + ?Sized,
{
    for state in [
        FailureState::Stopped,
        FailureState::Failing,
        FailureState::Unknown,
        FailureState::Final,
    ] {
        let mut after = after;
        while let Some(failed) = first_failed(bus, key, state, after)? {
            if !backfill.is_some_and(|backfill| was_overcome(backfill, &failed)) {
                return Ok(Some(failed));
            }
            after = failed.position;
        }
    }
    Ok(None)
}

fn first_failed<B>(
    bus: &mut B,
    key: ConsumerKey<'_>,
    state: FailureState,
    after: Position,
) -> Result<Option<FailedMessage>, Error>
where
    B: MessageConsumerState + ?Sized,
{
    let failed = bus.failed_messages(&FailedMessagesRequest {
        consumer: key.consumer,
        topic: key.topic,
        state,
        slots: None,
        after,
        limit: 1,
    })?;
    Ok(failed.into_iter().next())
}

/// Returns what is unusual about the end of the lease.
fn lease_problem(stored: &ConsumerRow) -> Option<String> {
    let expires_at = stored.lease_expires_at?;
    stored.lease_owner.as_ref()?;
    ends_late(expires_at, stored.now, Duration::ZERO).then(|| {
        format!(
            "the lease ends unusually late, at {}: the clock may have been wrong when it was \
             written, or its holder has a long lease_duration; if its holder has ended, call \
             operate::end_lease",
            expires_at.to_rfc3339()
        )
    })
}

fn backfill_of(stored: &ConsumerRow) -> Option<Backfill> {
    let text = stored.identity.event_set.as_deref()?;
    EventSetRecord::from_stored(text)?.backfill
}

/// Returns whether the consumer has passed the failed message: a backfill is before it, and handles
/// other types.
fn was_overcome(backfill: &Backfill, failed: &FailedMessage) -> bool {
    let is_other = |name: &str| !backfill.types.include(name);
    failed.position <= backfill.until() && failed.message_type.as_deref().is_some_and(is_other)
}

/// Returns the topic's head, if it is known, and what is wrong with the cursor. These are the
/// checks that the consumer makes.
fn head_and_problem<B>(
    bus: &mut B,
    topic: &str,
    stored: Option<&ConsumerRow>,
) -> Result<(Option<Position>, Option<String>), Error>
where
    B: MessageSource + ?Sized,
{
    let mut observations = SlotObservations::default();
    let high_water_mark = bus.high_water_mark(topic, &mut observations)?;
    let head = bus.head(topic, high_water_mark)?;
    let is_complete = observations.is_complete();
    let problem = match stored {
        Some(stored) => check_source(bus, topic, stored, head, is_complete),
        None => Ok(()),
    };
    let problem = match problem {
        Err(error) if error.is_broken_cursor() => Some(format!("{error}")),
        problem => problem.map(|()| None)?,
    };
    Ok((is_complete.then_some(head.position), problem))
}

fn check_source<B>(
    bus: &mut B,
    topic: &str,
    stored: &ConsumerRow,
    head: MessageAt,
    is_complete: bool,
) -> Result<(), Error>
where
    B: MessageSource + ?Sized,
{
    let (stored_name, name) = (stored.identity.source.as_deref(), bus.source_name());
    if stored.cursor.is_some() && stored_name != name.as_deref() {
        return Err(Error::other_source(topic, stored_name, name.as_deref()));
    }
    let place = stored.place();
    check_place(bus, topic, place, head)?;
    // An anchor after the head is already checked, unless the head is not the last message.
    match place.anchor {
        Some(anchor) if anchor.position <= head.position || !is_complete => {
            check_page(bus, topic, place, None)
        }
        _ => Ok(()),
    }
}

fn condition(
    stored: Option<&ConsumerRow>,
    failure: Option<&FailedMessage>,
    waiting: u64,
) -> ConsumerCondition {
    let Some(stored) = stored else {
        return ConsumerCondition::NeverRan;
    };
    let is_held = stored.lease_owner.is_some() && stored.lease_expires_at > Some(stored.now);
    let progress = stored.cursor_moved_at.map(|moved_at| stored.now - moved_at);
    let has_moved = progress.is_some_and(|since| since < RECENT);
    match failure.map(|failure| failure.state) {
        _ if stored.paused_at.is_some() => ConsumerCondition::Paused,
        Some(FailureState::Stopped | FailureState::Final) => ConsumerCondition::Stopped,
        Some(FailureState::Unknown) => ConsumerCondition::UnknownType,
        Some(_) => ConsumerCondition::Failing,
        None if is_held && has_moved => ConsumerCondition::Working,
        None if is_held => ConsumerCondition::Held,
        None if waiting > 0 => ConsumerCondition::Lagging,
        None => ConsumerCondition::CaughtUp,
    }
}
