//! Finds messages by the time at which they were recorded.

use std::ops::ControlFlow;

use chrono::{DateTime, TimeDelta, Utc};

use crate::error::Error;
use crate::position::Position;
use crate::store::page_request::{PageRequest, TypeFilter};
use crate::store::part::Part;
use crate::store::source::{MessageSource, read_all};

/// Times need not grow with positions, because publishers have clocks of their own, and a message
/// is recorded before its transaction commits. They can be out of order by this much.
const DISORDER: TimeDelta = TimeDelta::minutes(1);

/// The number of positions among which halving costs more than reading.
const NEAR: i64 = 1_000;

/// Returns the topic's first message that was recorded at `time` or later, up to a position.
///
/// Halves the range until all messages before it are older by more than `DISORDER`, and reads on
/// from there.
pub(super) fn first_since<M>(
    source: &mut M,
    topic: &str,
    time: DateTime<Utc>,
    up_to: Position,
) -> Result<Option<Position>, Error>
where
    M: MessageSource + ?Sized,
{
    let surely_before = time
        .checked_sub_signed(DISORDER)
        .unwrap_or(DateTime::<Utc>::MIN_UTC);
    let (mut low, mut high) = (Position::START, up_to);
    while high.get().saturating_sub(low.get()) > NEAR {
        let middle = Position::new(low.get() + (high.get() - low.get()) / 2);
        match next(source, topic, middle, high)? {
            Some((position, published_at)) if published_at < surely_before => low = position,
            _ => high = middle,
        }
    }
    let mut first = None;
    read_all(source, topic, low, up_to, &mut |stored| {
        if stored.published_at < time {
            return ControlFlow::Continue(());
        }
        first = Some(stored.position);
        ControlFlow::Break(())
    })?;
    Ok(first)
}

/// Returns the position and time of the topic's first message in a range.
fn next<M>(
    source: &mut M,
    topic: &str,
    after: Position,
    up_to: Position,
) -> Result<Option<(Position, DateTime<Utc>)>, Error>
where
    M: MessageSource + ?Sized,
{
    let request = PageRequest {
        topic,
        part: Part::Whole,
        message_types: TypeFilter::All,
        after,
        up_to,
        limit: 1,
    };
    let mut next = None;
    source.read_page(&request, &mut |stored| {
        next = Some((stored.position, stored.published_at));
        ControlFlow::Break(())
    })?;
    Ok(next)
}
