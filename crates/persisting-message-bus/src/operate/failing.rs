//! Finds the message on which a consumer or one of its segments fails.

use crate::error::Error;
use crate::position::Position;
use crate::store::consumer_state::{ConsumerRow, MessageConsumerState};
use crate::store::event_set::{Backfill, EventSetRecord};
use crate::store::failures::{FailedMessage, FailedMessagesRequest, FailureState};
use crate::store::key::ConsumerKey;
use crate::store::part::SlotRange;

/// The states of a message before which a consumer stands, in the order in which they are looked for.
const STATES: [FailureState; 4] = [
    FailureState::Stopped,
    FailureState::Failing,
    FailureState::Unknown,
    FailureState::Final,
];

/// Returns the states in which the consumer has a message after a position.
pub(super) fn states_after<B>(
    bus: &mut B,
    key: ConsumerKey<'_>,
    after: Position,
) -> Result<Vec<FailureState>, Error>
where
    B: MessageConsumerState + ?Sized,
{
    let mut states = Vec::new();
    for state in STATES {
        if first_failed(bus, key, state, None, after)?.is_some() {
            states.push(state);
        }
    }
    Ok(states)
}

/// Returns the message on which a row's holder fails, in one of these states. Only messages after
/// the cursor count, because the state keeps overcome failures until the next failure.
pub(super) fn failure_of<B>(
    bus: &mut B,
    key: ConsumerKey<'_>,
    row: Option<&ConsumerRow>,
    slots: Option<SlotRange>,
    states: &[FailureState],
) -> Result<Option<FailedMessage>, Error>
where
    B: MessageConsumerState + ?Sized,
{
    let cursor = row.map(|row| row.place().position()).unwrap_or_default();
    let backfill = row.and_then(backfill_of);
    for state in states {
        let mut after = cursor;
        while let Some(failed) = first_failed(bus, key, *state, slots, after)? {
            if !backfill
                .as_ref()
                .is_some_and(|backfill| was_overcome(backfill, &failed))
            {
                return Ok(Some(failed));
            }
            after = failed.position;
        }
    }
    Ok(None)
}

/// Returns the rank of a segment's failure, the worst first.
pub(super) fn rank(failed: &FailedMessage) -> (u8, Position) {
    let rank = match failed.state {
        FailureState::Stopped | FailureState::Final => 0,
        FailureState::Failing => 1,
        _ => 2,
    };
    (rank, failed.position)
}

fn first_failed<B>(
    bus: &mut B,
    key: ConsumerKey<'_>,
    state: FailureState,
    slots: Option<SlotRange>,
    after: Position,
) -> Result<Option<FailedMessage>, Error>
where
    B: MessageConsumerState + ?Sized,
{
    let failed = bus.failed_messages(&FailedMessagesRequest {
        consumer: key.consumer,
        topic: key.topic,
        state,
        slots,
        after,
        limit: 1,
    })?;
    Ok(failed.into_iter().next())
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
