//! The reason why a message that an operator redrives or discards is not parked.

use crate::error::Error;
use crate::position::Position;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::failures::{FailedMessagesRequest, FailureState, ParkedSelector};
use crate::store::key::ConsumerKey;

/// Returns the number of changed messages. If a single message was selected and is not parked, that
/// is an error, which states the reason.
pub(crate) fn expect_parked<S>(
    state: &mut S,
    key: ConsumerKey<'_>,
    which: ParkedSelector<'_>,
    changed: u64,
) -> Result<u64, Error>
where
    S: MessageConsumerState + ?Sized,
{
    match which {
        ParkedSelector::At(position) if changed == 0 => {
            let (found, next) = reason(state, key, position)?;
            Err(Error::not_parked(key, position, found, next))
        }
        _ => Ok(changed),
    }
}

/// Returns the state of the message, and what to do.
fn reason<S>(
    state: &mut S,
    key: ConsumerKey<'_>,
    position: Position,
) -> Result<(&'static str, &'static str), Error>
where
    S: MessageConsumerState + ?Sized,
{
    for failure in [
        FailureState::Stopped,
        FailureState::Failing,
        FailureState::Unknown,
        FailureState::Final,
        FailureState::Redriven,
        FailureState::Parked,
    ] {
        let request = FailedMessagesRequest {
            consumer: key.consumer,
            topic: key.topic,
            state: failure,
            slots: None,
            after: position.before(),
            limit: 1,
        };
        let first = state.failed_messages(&request)?;
        if first.iter().any(|failed| failed.position == position) {
            return Ok(of_failure(failure));
        }
    }
    let consumer = state.stored_consumer(key)?;
    Ok(match consumer.map(|row| row.cursor.unwrap_or_default()) {
        None => (
            "no consumer of this name has run on this topic",
            "check both names",
        ),
        Some(cursor) if cursor >= position => (
            "the consumer has passed it: it was handled, skipped or discarded, or the position has \
             no message of this consumer",
            "to handle it again, reset the consumer to the position before it",
        ),
        Some(_) => (
            "the consumer has not reached it",
            "the consumer handles it after the messages before it",
        ),
    })
}

fn of_failure(state: FailureState) -> (&'static str, &'static str) {
    match state {
        FailureState::Stopped => (
            "the consumer has stopped before it",
            "to attempt it again, correct the cause and start the consumer; to continue after it, \
             reset the consumer to its position (StartAt::Position), or start the consumer with \
             FailurePolicy::Park or Skip",
        ),
        FailureState::Failing => (
            "the consumer fails on it and attempts it again",
            "wait until its attempts are used up, or reset the consumer to its position to continue \
             after it",
        ),
        FailureState::Unknown => (
            "the consumer waits before it, because its program does not know the type or version",
            "deploy a program that knows it, or skip unknown messages",
        ),
        FailureState::Final => (
            "its handler has ended the transaction, so it is not attempted again",
            "the consumer applies its failure policy to it at its next poll",
        ),
        FailureState::Redriven => (
            "it is already redriven",
            "the consumer handles it at its next poll, before any new message",
        ),
        FailureState::Parked => ("it was parked only now", "repeat the call"),
    }
}
