use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::consume::recognise::{check_page, check_place};
use crate::error::Error;
use crate::operate::counted::Counted;
use crate::operate::segments::{self, SegmentStatus};
use crate::position::Position;
use crate::store::consumer_state::{ConsumerRow, MessageConsumerState};
use crate::store::failures::{FailedMessage, FailureState};
use crate::store::key::ConsumerKey;
use crate::store::lease::ends_late;
use crate::store::place::MessageAt;
use crate::store::segment::Division;
use crate::store::segment_rows::read_with_segments;
use crate::store::slot_observations::SlotObservations;
use crate::store::source::MessageSource;

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
    /// The position up to which it has finished; `None` while it has not left the start. If it is
    /// divided, the lowest cursor of its segments: it has handled everything up to there.
    pub cursor: Option<Position>,
    /// The topic's head. `None` if it is unknown because publishers are in flight.
    pub head: Option<Position>,
    /// The number of the topic's messages after the cursor, of all types. If it is divided, those after
    /// the cursors of their segments.
    pub lag_messages: u64,
    /// The age of the first of these messages, in seconds since it was recorded; zero if there is none. The clock is that of the consumer state, or of this process if the consumer
    /// never ran.
    pub lag_seconds: f64,
    /// The lease holder, or the last one if the lease has expired; `None` after a release. If it is
    /// divided, the holder of the segment whose lease expires last.
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
    /// The message on which it fails, with the last error; `None` if it does not fail. If several
    /// segments fail, the first message whose state is the worst: it has stopped, or else it fails, or
    /// else its type is unknown.
    pub failure: Option<FailedMessage>,
    /// The number of parked messages.
    pub parked_messages: u64,
    /// The number of redriven messages, which wait to be handled again.
    pub redriven_messages: u64,
    /// How it is divided into segments; `None` if it is not. In JSON, a text such as `key 64`.
    pub division: Option<Division>,
    /// The highest number of waiting messages of a segment, minus the lowest; zero if it is not
    /// divided. A high number shows a segment that is stuck, or whose keys have most of the messages.
    ///
    /// The cursors do not show that: the cursor of a segment without messages follows up to a minute
    /// later.
    pub lag_spread: u64,
    /// Its segments, lowest number first; empty if it is not divided.
    pub segments: Vec<SegmentStatus>,
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
    /// The cost of counting grows with the number of messages after the cursor. If the consumer is
    /// divided, their positions and slots are read, 10,000 at a time.
    ///
    /// # Errors
    ///
    /// If the bus cannot be read, or cannot determine the topic's high-water mark
    /// ([`MessageSource::high_water_mark`]).
    pub fn read<B>(bus: &mut B, key: ConsumerKey<'_>) -> Result<Self, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        let (stored, segments) = read_with_segments(bus, key)?;
        let division = stored.as_ref().and_then(|stored| stored.division);
        // The cursor and the lease of a consumer that is divided are those of its segments.
        let rows: Vec<_> = match division {
            Some(_) => segments.iter().map(|segment| &segment.row).collect(),
            None => stored.iter().collect(),
        };
        let cursor = rows.iter().map(|row| row.cursor).min().flatten();
        let (head, problem) = head_and_problem(bus, key.topic, &rows)?;
        let counted = match division {
            Some(division) => {
                Counted::of_segments(bus, key, division, &segments, problem.is_some())?
            }
            None => Counted::of_whole(bus, key, stored.as_ref(), problem.is_some())?,
        };
        let now = stored.as_ref().map_or_else(Utc::now, |stored| stored.now);
        let age = counted.backlog.oldest.map(|oldest| now - oldest);
        let age = age.and_then(|age| age.to_std().ok()).unwrap_or_default();
        let redriven_messages = bus.count_failed(key, FailureState::Redriven)?;
        let waiting = counted.backlog.messages + redriven_messages;
        let paused_at = stored.as_ref().and_then(|stored| stored.paused_at);
        let condition = match problem {
            Some(_) => ConsumerCondition::BrokenCursor,
            None if stored.is_none() => ConsumerCondition::NeverRan,
            None if paused_at.is_some() => ConsumerCondition::Paused,
            None => condition(&rows, counted.failure.as_ref(), waiting),
        };
        let held = rows.iter().filter(|row| row.lease_owner.is_some());
        let held = held.max_by_key(|row| row.lease_expires_at);
        Ok(Self {
            consumer: key.consumer.to_owned(),
            topic: key.topic.to_owned(),
            condition,
            cursor,
            head,
            lag_messages: counted.backlog.messages,
            lag_seconds: age.as_secs_f64(),
            lease_owner: held.and_then(|row| row.lease_owner.clone()),
            lease_expires_at: held.and_then(|row| row.lease_expires_at),
            lease_problem: rows.iter().find_map(|row| lease_problem(row)),
            cursor_moved_at: rows.iter().filter_map(|row| row.cursor_moved_at).max(),
            paused_at,
            problem,
            failure: counted.failure,
            parked_messages: bus.count_parked(key)?,
            redriven_messages,
            division,
            lag_spread: segments::lag_spread(&counted.segments),
            segments: counted.segments,
        })
    }
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

/// Returns the topic's head, if it is known, and what is wrong with a cursor. These are the checks
/// that the consumer makes.
fn head_and_problem<B>(
    bus: &mut B,
    topic: &str,
    rows: &[&ConsumerRow],
) -> Result<(Option<Position>, Option<String>), Error>
where
    B: MessageSource + ?Sized,
{
    let mut observations = SlotObservations::default();
    let high_water_mark = bus.high_water_mark(topic, &mut observations)?;
    let head = bus.head(topic, high_water_mark)?;
    let is_complete = observations.is_complete();
    // Most segments have the same cursor.
    let mut rows = rows.to_vec();
    rows.sort_by_key(|row| row.cursor);
    rows.dedup_by(|one, other| {
        one.place() == other.place() && one.identity.source == other.identity.source
    });
    let mut rows = rows.into_iter();
    let checked = rows.try_for_each(|row| check_source(bus, topic, row, head, is_complete));
    let problem = match checked {
        Err(error) if error.is_broken_cursor() => Some(format!("{error}")),
        checked => checked.map(|()| None)?,
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
    rows: &[&ConsumerRow],
    failure: Option<&FailedMessage>,
    waiting: u64,
) -> ConsumerCondition {
    let is_held =
        |row: &&&ConsumerRow| row.lease_owner.is_some() && row.lease_expires_at > Some(row.now);
    let has_moved = |row: &&ConsumerRow| {
        let progress = row.cursor_moved_at.map(|moved_at| row.now - moved_at);
        progress.is_some_and(|since| since < RECENT)
    };
    let mut held = rows.iter().filter(is_held).peekable();
    let is_held = held.peek().is_some();
    match failure.map(|failure| failure.state) {
        Some(FailureState::Stopped | FailureState::Final) => ConsumerCondition::Stopped,
        Some(FailureState::Unknown) => ConsumerCondition::UnknownType,
        Some(_) => ConsumerCondition::Failing,
        None if held.any(has_moved) => ConsumerCondition::Working,
        None if is_held => ConsumerCondition::Held,
        None if waiting > 0 => ConsumerCondition::Lagging,
        None => ConsumerCondition::CaughtUp,
    }
}
