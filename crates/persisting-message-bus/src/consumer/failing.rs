//! What becomes of a message that cannot be handled.

use std::time::Duration;

use super::handler::guarded;
use super::leases::Leases;
use crate::retry::up_to;
use crate::{
    Error, EventSet, FailedPage, Failure, FailureState, GiveUp, Lease, MessageConsumer,
    MessageConsumerState, Position, observe,
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
        let then = retry.gives_up_after(attempts);
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

    /// Gives a message up of which something is final, without another attempt. Where the consumer stops at it,
    /// it stays noted as final, and this returns the error, at each start again: an operator has to move the
    /// cursor, or to let it be parked or skipped.
    pub(super) fn give_up<B>(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        error: Error,
    ) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let then = self.settings.retry.unwrap_or_default().then;
        let culprit = error.culprit();
        let at = culprit.and_then(|it| leases.on(it.topic).map(|lease| (lease, it.position)));
        let (Some((lease, position)), false) = (at, then == GiveUp::Stop) else {
            return Err(error);
        };
        if let Err(second) = bus.give_up(lease, position, then) {
            return Err(second.followed_by(error));
        }
        observe::gave_up(lease, position, then);
        self.skipped += u64::from(then == GiveUp::Skip);
        Ok(())
    }

    /// Gives a message up that was noted as final, when those before it are handled.
    pub(super) fn give_up_final<B>(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        (lease, position): (&Lease, Position),
    ) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let noted = bus.failed_messages(&FailedPage {
            consumer: &self.name,
            topic: &lease.topic,
            state: FailureState::Final,
            after: position.before(),
            limit: 1,
        })?;
        let Some(noted) = noted.into_iter().next() else {
            return Ok(());
        };
        let attempts = noted.attempts;
        let error = Error::noted_final(lease, noted);
        self.give_up(
            bus,
            leases,
            error.attempted(attempts, attempts, Duration::ZERO),
        )
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
