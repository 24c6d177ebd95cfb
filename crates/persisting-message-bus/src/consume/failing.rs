//! The consequences for a message that cannot be handled.

use std::time::Duration;

use crate::backoff::full_jitter;
use crate::consume::consumer::MessageConsumer;
use crate::consume::errors::storable_text;
use crate::consume::leases::Leases;
use crate::consume::recording::record_failure;
use crate::error::Error;
use crate::error::kind::MessageFault;
use crate::message::topic::EventSet;
use crate::observe;
use crate::position::Position;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::failures::{FailedMessagesRequest, FailurePolicy, FailureState, NewFailure};
use crate::store::lease::Lease;
use crate::store::place::MessageAt;

/// Returns the place of the message that an error is about.
fn place_of(fault: &MessageFault<'_>) -> MessageAt {
    MessageAt {
        position: fault.position,
        message_id: fault.message_id,
    }
}

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Notes that a message failed, and applies the failure policy after the last attempt. Returns
    /// the topic and position after which the consumer continues, or else the error.
    ///
    /// This must be called under the lease, after all messages before the failing one are handled.
    pub(super) fn record_and_apply_policy<B>(
        &mut self,
        bus: &mut B,
        leases: &mut Leases,
        error: Error,
    ) -> Result<(&'static str, Position), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let retry = self.settings.retry.unwrap_or_default();
        let fault = error.failing_message();
        let Some((message, lease)) = fault.and_then(|message| {
            let lease = leases.on(message.topic)?.clone();
            Some((message, lease))
        }) else {
            return Err(error);
        };
        let position = message.position;
        let passed = place_of(&message);
        let text = storable_text(&error);
        let failure = NewFailure {
            position,
            message_id: message.message_id,
            message_type: message.message_type,
            error: &text,
            extend_lease: self.settings.lease_duration,
            state: FailureState::Failing,
        };
        let attempts = match record_failure(bus, &lease, &failure) {
            Ok(attempts) => attempts,
            // The error of the bus decides how the consumer continues.
            Err(second) => return Err(second.followed_by(error)),
        };
        // This program will not know the message at the next attempt either.
        let is_unknown = error.is_unknown_message();
        let exhausted = retry.exhausted_after(attempts);
        let then = exhausted.or(is_unknown.then_some(retry.on_exhausted));
        let wait = match then {
            None => full_jitter(retry.backoff.max_delay_after(attempts)),
            Some(_) => Duration::ZERO,
        };
        let error = error.attempted(attempts, retry.at_most(), wait);
        let Some(then) = then else {
            // The lease keeps other processes from attempting the message before the retry is due.
            return Err(match leases.hold_until_retry(bus, wait) {
                Ok(()) => error,
                Err(second) => second.followed_by(error),
            });
        };
        if let Err(second) = self.apply_policy(bus, &lease, passed, then) {
            return Err(second.followed_by(error));
        }
        if then == FailurePolicy::Stop {
            return Err(error);
        }
        let mut topics = self.topics.iter().map(|reader| reader.topic);
        let topic = topics.find(|topic| *topic == lease.topic);
        Ok((topic.unwrap_or_default(), position))
    }

    /// Applies the failure policy to a message that has final effects, without another attempt.
    ///
    /// If the consumer stops before the message, the message stays noted as final, and each start
    /// returns the error again. An operator must move the cursor, or let the consumer park or skip
    /// the message.
    pub(super) fn give_up<B>(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        error: Error,
    ) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let then = self.settings.retry.unwrap_or_default().on_exhausted;
        let fault = error.failing_message();
        let at = fault.and_then(|it| leases.on(it.topic).map(|lease| (lease, place_of(&it))));
        let (Some((lease, passed)), false) = (at, then == FailurePolicy::Stop) else {
            return Err(error);
        };
        let applied = self.apply_policy(bus, lease, passed, then);
        applied.map_err(|second| second.followed_by(error))
    }

    /// Applies the failure policy to a message, all at once: notes the policy, moves the cursor
    /// unless the consumer stops, and releases the lease.
    fn apply_policy<B>(
        &mut self,
        bus: &mut B,
        lease: &Lease,
        message: MessageAt,
        then: FailurePolicy,
    ) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        bus.give_up(lease, message, then)?;
        observe::gave_up(lease, message.position, then);
        self.skipped += u64::from(then == FailurePolicy::Skip);
        Ok(())
    }

    /// Applies the failure policy to a message that was noted as final, after the messages before
    /// it are handled.
    pub(super) fn give_up_final<B>(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        (lease, position): (&Lease, Position),
    ) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let noted = bus.failed_messages(&FailedMessagesRequest {
            consumer: &self.name,
            topic: &lease.topic,
            state: FailureState::Final,
            slots: self.slots(),
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
