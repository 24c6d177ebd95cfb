//! Counts the messages that wait for a consumer, and finds the one on which it fails.

use crate::error::Error;
use crate::operate::failing::{failure_of, rank, states_after};
use crate::operate::segments::{self, SegmentStatus};
use crate::position::Position;
use crate::store::consumer_state::{ConsumerRow, MessageConsumerState, SegmentRow};
use crate::store::failures::FailedMessage;
use crate::store::key::ConsumerKey;
use crate::store::segment::Division;
use crate::store::source::{Backlog, MessageSource};

/// What was counted and found.
pub(super) struct Counted {
    pub(super) backlog: Backlog,
    pub(super) failure: Option<FailedMessage>,
    pub(super) segments: Vec<SegmentStatus>,
}

impl Counted {
    pub(super) fn of_whole<B>(
        bus: &mut B,
        key: ConsumerKey<'_>,
        row: Option<&ConsumerRow>,
        is_broken: bool,
    ) -> Result<Self, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        let cursor = row.map(|row| row.place().position()).unwrap_or_default();
        let states = states_after(bus, key, cursor)?;
        Ok(Self {
            failure: failure_of(bus, key, row, None, &states)?,
            // A cursor that does not count has no messages after it.
            backlog: if is_broken {
                Backlog::default()
            } else {
                bus.backlog(key.topic, cursor)?
            },
            segments: Vec::new(),
        })
    }

    pub(super) fn of_segments<B>(
        bus: &mut B,
        key: ConsumerKey<'_>,
        division: Division,
        rows: &[SegmentRow],
        is_broken: bool,
    ) -> Result<Self, Error>
    where
        B: MessageSource + MessageConsumerState + ?Sized,
    {
        let mut all: Vec<_> = rows.iter().map(SegmentStatus::of_row).collect();
        let backlog = if is_broken {
            Backlog::default()
        } else {
            segments::count(bus, key.topic, division, &mut all)?
        };
        let lowest = rows.iter().map(|it| it.row.place().position()).min();
        let states = states_after(bus, key, lowest.unwrap_or(Position::START))?;
        for (status, SegmentRow { segment, row }) in all.iter_mut().zip(rows) {
            // A segment stands before the message on which it fails, which waits.
            if !states.is_empty() && (is_broken || status.lag_messages > 0) {
                let slots = segment.part.slots();
                status.failure = failure_of(bus, key, Some(row), slots, &states)?;
            }
        }
        let failures = all.iter().filter_map(|status| status.failure.as_ref());
        Ok(Self {
            backlog,
            failure: failures.min_by_key(|failed| rank(failed)).cloned(),
            segments: all,
        })
    }
}
