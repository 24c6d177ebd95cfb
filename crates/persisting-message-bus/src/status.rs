use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::{
    Error, FailedMessage, FailedPage, FailureState, MessageConsumerState, MessageSource, Position,
    Sightings, StoredConsumer,
};

/// How a consumer is doing on one topic, for people who look after it and programs that watch it.
///
/// ```
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::{ConsumerCondition, ConsumerStatus};
///
/// let mut bus = InMemoryMessageBus::default();
/// let status = ConsumerStatus::read(&mut bus, "mailer", "orders")?;
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
    /// What it does.
    pub condition: ConsumerCondition,
    /// The position up to which it has finished; `None` while it has not left the start.
    pub cursor: Option<Position>,
    /// The highest position of the topic that can be read for now; `None` where that cannot be told
    /// because publishers are at work.
    pub safe_head: Option<Position>,
    /// How many messages of the topic are behind the cursor, of all types.
    pub lag_messages: u64,
    /// The age of the first of them since it was recorded, in seconds by the clock of the consumer state
    /// (of this process, if the consumer never ran); zero where there is none.
    pub lag_seconds: f64,
    /// Who holds the lease, or held it last if it has expired; `None` after it was given back.
    pub lease_owner: Option<String>,
    /// When the lease expires or has expired.
    pub lease_expires_at: Option<DateTime<Utc>>,
    /// When the cursor moved for the last time; `None` if it never did.
    pub cursor_moved_at: Option<DateTime<Utc>>,
    /// Since when it is paused, if it is.
    pub paused_at: Option<DateTime<Utc>>,
    /// The message that it fails on, with the last error, if it does.
    pub failure: Option<FailedMessage>,
    /// How many messages are parked.
    pub parked_messages: u64,
    /// How many of those that were parked wait to be handled again.
    pub redriven_messages: u64,
}

/// What a consumer does; the first that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConsumerCondition {
    /// Nobody of that name has handled anything on the topic.
    NeverRan,
    /// It was paused.
    Paused,
    /// It has stopped in front of a message that keeps failing.
    Stopped,
    /// It has failed on a message and tries again.
    Failing,
    /// Somebody holds its lease, and has moved the cursor in the last ten seconds.
    Working,
    /// Somebody holds its lease, and the cursor has not moved for ten seconds: one message takes long, or
    /// the holder has ended without a word, and the lease is still to expire.
    Held,
    /// There are messages, and nobody holds its lease.
    Behind,
    /// There is nothing to do.
    CaughtUp,
}

/// The longest time without progress of somebody who works. A slow page stores its cursor each second.
const RECENT: TimeDelta = TimeDelta::seconds(10);

impl ConsumerStatus {
    /// Reads it, without disturbing anybody.
    ///
    /// Counting what is behind the cursor takes the longer the more that is.
    ///
    /// # Errors
    ///
    /// When the bus cannot be read, or cannot tell what can be read of the topic
    /// ([`MessageSource::horizon`]).
    pub fn read<B>(bus: &mut B, consumer: &str, topic: &str) -> Result<Self, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        let stored = bus.stored_consumer(consumer, topic)?;
        let cursor = stored.as_ref().and_then(|stored| stored.cursor);
        let after = cursor.unwrap_or_default();
        let failure = failure_behind(bus, consumer, topic, after)?;
        let backlog = bus.backlog(topic, after)?;
        let now = stored.as_ref().map_or_else(Utc::now, |stored| stored.now);
        let age = backlog.oldest.map(|oldest| now - oldest);
        let age = age.and_then(|age| age.to_std().ok()).unwrap_or_default();
        let redriven_messages = bus.count_failed(consumer, topic, FailureState::Redriven)?;
        let waiting = backlog.messages + redriven_messages;
        let condition = condition(stored.as_ref(), failure.as_ref(), waiting);
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
            consumer: consumer.to_owned(),
            topic: topic.to_owned(),
            condition,
            cursor,
            safe_head: safe_head(bus, topic)?,
            lag_messages: backlog.messages,
            lag_seconds: age.as_secs_f64(),
            lease_owner,
            lease_expires_at,
            cursor_moved_at,
            paused_at,
            failure,
            parked_messages: bus.count_parked(consumer, topic)?,
            redriven_messages,
        })
    }
}

/// The message that the consumer fails on. What it has overcome is forgotten at the next failure only.
fn failure_behind<B>(
    bus: &mut B,
    consumer: &str,
    topic: &str,
    after: Position,
) -> Result<Option<FailedMessage>, Error>
where
    B: MessageConsumerState + ?Sized,
{
    for state in [
        FailureState::Stopped,
        FailureState::Failing,
        FailureState::Final,
    ] {
        let failed = bus.failed_messages(&FailedPage {
            consumer,
            topic,
            state,
            after,
            limit: 1,
        })?;
        if let Some(failed) = failed.into_iter().next() {
            return Ok(Some(failed));
        }
    }
    Ok(None)
}

fn safe_head<B>(bus: &mut B, topic: &str) -> Result<Option<Position>, Error>
where
    B: MessageSource + ?Sized,
{
    let mut sightings = Sightings::default();
    let horizon = bus.horizon(topic, &mut sightings)?;
    if sightings.are_complete() {
        bus.head(topic, horizon).map(Some)
    } else {
        Ok(None)
    }
}

fn condition(
    stored: Option<&StoredConsumer>,
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
        Some(_) => ConsumerCondition::Failing,
        None if is_held && has_moved => ConsumerCondition::Working,
        None if is_held => ConsumerCondition::Held,
        None if waiting > 0 => ConsumerCondition::Behind,
        None => ConsumerCondition::CaughtUp,
    }
}
