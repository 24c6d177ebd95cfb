//! What becomes of a message that cannot be handled.

use super::handler::Leases;
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
        let failure = Failure {
            position,
            message_id: message.message_id,
            message_type: message.message_type,
            error: &text_of(&error),
            state: FailureState::Failing,
        };
        let attempts = match bus.record_failure(lease, &failure) {
            Ok(attempts) => attempts,
            Err(second) => return Err(error.followed_by(second)),
        };
        let error = error.attempted(attempts, retry.most_attempts());
        observe::failed(lease, position, &error);
        let Some(then) = retry.gives_up_after(attempts) else {
            return Err(error);
        };
        if let Err(second) = bus.give_up(lease, position, then) {
            return Err(error.followed_by(second));
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
    let text = error.failure();
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
