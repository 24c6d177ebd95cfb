//! The state of the segments of a consumer that is divided.

use std::ops::ControlFlow;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::error::Error;
use crate::position::Position;
use crate::store::consumer_state::SegmentRow;
use crate::store::failures::FailedMessage;
use crate::store::page_request::{PageRequest, TypeFilter};
use crate::store::part::Part;
use crate::store::segment::Division;
use crate::store::source::{Backlog, MessageSource};

/// The state of a segment on one topic.
///
/// ```
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::operate::{ConsumerKey, ConsumerStatus};
/// use persisting_message_bus::{
///     Message, MessageConsumer, MessageDispatcher, ParallelConsumer, Topic,
/// };
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderPlaced { order: u32 }
///
/// #[derive(Topic)]
/// #[topic(name = "orders", key = order)]
/// enum Orders { OrderPlaced(OrderPlaced) }
///
/// let mut bus = InMemoryMessageBus::default();
/// let mail = || MessageConsumer::<Orders>::external("mailer", |_: &Message<Orders>| Ok(()));
/// ParallelConsumer::by_key(mail).segments(8).handle_new_messages(&mut bus)?;
/// MessageDispatcher::<Orders>::new().dispatch(&mut bus, &OrderPlaced { order: 7 })?;
///
/// let status = ConsumerStatus::read(&mut bus, ConsumerKey::on::<Orders>("mailer"))?;
/// assert_eq!(status.segments.len(), 8);
/// let waits = status.segments.iter().find(|segment| segment.lag_messages > 0);
/// assert_eq!(waits.map(|segment| segment.lag_messages), Some(1));
/// assert_eq!(status.lag_spread, 1);
/// # Ok::<(), persisting_message_bus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SegmentStatus {
    /// Its number, from 0.
    pub number: u16,
    /// The position up to which it has finished; `None` while it has not left the start.
    pub cursor: Option<Position>,
    /// The number of its messages after its cursor, of all types.
    pub lag_messages: u64,
    /// The lease holder, or the last one if the lease has expired; `None` after a release.
    pub lease_owner: Option<String>,
    /// The time at which the lease expires or has expired.
    pub lease_expires_at: Option<DateTime<Utc>>,
    /// The time at which the cursor last moved; `None` if it never did.
    pub cursor_moved_at: Option<DateTime<Utc>>,
    /// The message on which it fails, with the last error; `None` if it does not fail.
    pub failure: Option<FailedMessage>,
}

impl SegmentStatus {
    /// Returns what the row shows. The messages are not counted yet.
    pub(super) fn of_row(SegmentRow { segment, row }: &SegmentRow) -> Self {
        Self {
            number: segment.number,
            cursor: row.cursor,
            lag_messages: 0,
            lease_owner: row.lease_owner.clone(),
            lease_expires_at: row.lease_expires_at,
            cursor_moved_at: row.cursor_moved_at,
            failure: None,
        }
    }
}

/// The number of messages whose slots are read at once.
const BATCH: usize = 10_000;

/// Counts the messages after the cursors of their segments, and returns all of them.
pub(super) fn count<B>(
    bus: &mut B,
    topic: &str,
    division: Division,
    segments: &mut [SegmentStatus],
) -> Result<Backlog, Error>
where
    B: MessageSource + ?Sized,
{
    let cursors = segments.iter().map(|segment| segment.cursor);
    let mut after = cursors.min().flatten().unwrap_or_default();
    let (mut messages, mut first) = (0, None);
    loop {
        let slots = bus.slots_after(topic, after, Position::LAST, BATCH)?;
        let Some((last, _)) = slots.last() else {
            break;
        };
        after = *last;
        for (position, slot) in slots {
            let number = division.number_at(position, slot);
            if let Some(segment) = segments.get_mut(usize::from(number))
                && position > segment.cursor.unwrap_or_default()
            {
                segment.lag_messages += 1;
                messages += 1;
                first.get_or_insert(position);
            }
        }
    }
    let oldest = match first {
        Some(first) => recorded_at(bus, topic, first)?,
        None => None,
    };
    Ok(Backlog { messages, oldest })
}

/// Returns the time at which a message was recorded.
fn recorded_at<B>(
    bus: &mut B,
    topic: &str,
    position: Position,
) -> Result<Option<DateTime<Utc>>, Error>
where
    B: MessageSource + ?Sized,
{
    let mut time = None;
    let request = PageRequest {
        topic,
        part: Part::Whole,
        message_types: TypeFilter::All,
        after: position.before(),
        up_to: position,
        limit: 1,
    };
    let read = bus.read_page(&request, &mut |stored| {
        time = Some(stored.published_at);
        ControlFlow::Break(())
    });
    match read {
        Ok(_) => Ok(time),
        // The row has no valid message, which a count does not need.
        Err(_) => Ok(bus.backlog(topic, position.before())?.oldest),
    }
}

/// Returns the highest lag minus the lowest.
pub(super) fn lag_spread(segments: &[SegmentStatus]) -> u64 {
    let lags = || segments.iter().map(|segment| segment.lag_messages);
    let [highest, lowest] = [lags().max(), lags().min()].map(Option::unwrap_or_default);
    highest - lowest
}
