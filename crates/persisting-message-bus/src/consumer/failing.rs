//! What becomes of a message that cannot be handled.

use std::time::Duration;

use super::handler::{Leases, guarded};
use crate::retry::up_to;
use crate::{
    Error, EventSet, Failure, FailureState, GiveUp, MessageConsumer, MessageConsumerState,
    Position, observe,
};

/// How much of an error is kept.
const LONGEST_TEXT: usize = 16_000;

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Notes that a message failed, and gives it up when it has failed often enough. Where the consumer
    /// goes on behind it, says where that is; otherwise returns the error.
    ///
    /// This has to be called under the lease, when all messages in front of that one are handled.
    pub(super) fn settle<B>(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        error: Error,
    ) -> Result<(&'static str, Position), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let retry = self.settings.retry.unwrap_or_default();
        let culprit = error.culprit();
        let Some((message, lease)) =
            culprit.and_then(|message| leases.on(message.topic).map(|lease| (message, lease)))
        else {
            return Err(error);
        };
        let position = message.position;
        let text = text_of(&error);
        let failure = Failure {
            position,
            message_id: message.message_id,
            message_type: message.message_type,
            error: &text,
            hold: self.settings.lease_duration,
            state: FailureState::Failing,
        };
        let attempts = match bus.record_failure(lease, &failure) {
            Ok(attempts) => attempts,
            // What the bus fails with says how to go on.
            Err(second) => return Err(second.followed_by(error)),
        };
        let then = if error.may_be_final() {
            // To try it again by itself might do it twice.
            Some(retry.then)
        } else {
            retry.gives_up_after(attempts)
        };
        let wait = match then {
            None => up_to(retry.longest_after(attempts)),
            Some(_) => Duration::ZERO,
        };
        let error = error.attempted(attempts, retry.most_attempts(), wait);
        observe::failed(lease, position, attempts, &text);
        let Some(then) = then else {
            // Nobody else attempts it meanwhile.
            return Err(match leases.rest(bus, wait) {
                Ok(()) => error,
                Err(second) => second.followed_by(error),
            });
        };
        if let Err(second) = bus.give_up(lease, position, then) {
            return Err(second.followed_by(error));
        }
        observe::gave_up(lease, position, then);
        if then == GiveUp::Stop {
            return Err(error);
        }
        self.skipped += u64::from(then == GiveUp::Skip);
        let mut topics = self.topics.iter().map(|reader| reader.topic);
        let topic = topics.find(|topic| *topic == lease.topic);
        Ok((topic.unwrap_or_default(), position))
    }
}

/// What is kept of an error: every database can store it.
pub(super) fn text_of(error: &Error) -> String {
    let text = guarded(|| Ok(error.failure()));
    let text = text.unwrap_or_else(|panicked| format!("its text cannot be had: {panicked}"));
    text.chars()
        .map(|character| {
            if character == '\0' {
                '\u{fffd}'
            } else {
                character
            }
        })
        .take(LONGEST_TEXT)
        .collect()
}
