//! Waits before a message that this program does not know.
//!
//! Such a message costs no attempt, because a newer program can handle it. The consumer releases
//! its lease at once, so that a newer program can take it, and waits without it. It reads the
//! message again at each poll, and takes the lease only if the cursor has moved.

use std::time::Instant;

use chrono::TimeDelta;

use crate::consume::consumer::MessageConsumer;
use crate::consume::errors::storable_text;
use crate::consume::leases::Leases;
use crate::consume::page::Page;
use crate::consume::poll::Poll;
use crate::consume::waiting::Waiting;
use crate::error::Error;
use crate::error::kind::MessageFault;
use crate::message::topic::EventSet;
use crate::observe;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::failures::{FailedMessagesRequest, FailureState, NewFailure};
use crate::store::lease::Lease;
use crate::store::source::MessageSource;

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Returns the error of the message before which the consumer waits, or `None` if it can
    /// continue: another program has handled the message, or the wait is over.
    pub(super) fn still_waits<B>(
        &mut self,
        bus: &mut B,
        poll: &Poll,
    ) -> Result<Option<Error>, Error>
    where
        B: MessageSource + ?Sized,
    {
        let Some(waiting) = self.memory.waiting.take() else {
            return Ok(None);
        };
        let stored = poll.stored[waiting.topic].as_ref();
        let is_there = stored.is_some_and(|stored| stored.cursor == waiting.cursor);
        let is_over = waiting.until.is_some_and(|until| until <= Instant::now());
        if !is_there || is_over {
            return Ok(None);
        }
        self.memory.waiting = Some(waiting);
        let reader = &self.topics[waiting.topic];
        match reader.read_one::<S, _>(bus, (None, 0), waiting.position) {
            Err(error) if error.is_unknown_message() => Ok(Some(error)),
            Err(error) => Err(error),
            Ok(_) => {
                self.memory.waiting = None;
                Ok(None)
            }
        }
    }

    /// Records a message that this program does not know, and logs it.
    pub(super) fn record_unknown<B>(
        &self,
        bus: &mut B,
        lease: &Lease,
        message: &MessageFault<'_>,
        error: &str,
    ) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let failure = NewFailure {
            position: message.position,
            message_id: message.message_id,
            message_type: message.message_type,
            error,
            extend_lease: self.settings.lease_duration,
            state: FailureState::Unknown,
        };
        bus.record_failure(lease, &failure)?;
        observe::waits_before_unknown(lease, message.position, error);
        Ok(())
    }

    /// Records the message after the first `handled` ones, so that the consumer's status shows it.
    /// Returns `true` if the consumer waits from now on, and `false` if it has waited long enough.
    pub(super) fn waits_before<B>(
        &mut self,
        bus: &mut B,
        leases: &mut Leases,
        page: &Page<S>,
        handled: usize,
        error: &Error,
    ) -> Result<bool, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let Some(message) = error.failing_message() else {
            return Ok(false);
        };
        let mut topics = self.topics.iter();
        let topic = topics.position(|reader| reader.topic == message.topic);
        let Some((topic, lease)) = topic.zip(leases.on(message.topic)) else {
            return Ok(false);
        };
        self.record_unknown(bus, lease, &message, &storable_text(error))?;
        let mut until = None;
        if let Some(timeout) = self.settings.unknown_timeout {
            let recorded = bus.failed_messages(&FailedMessagesRequest {
                consumer: &self.name,
                topic: message.topic,
                state: FailureState::Unknown,
                slots: self.slots(),
                after: message.position.before(),
                limit: 1,
            })?;
            let waited = recorded
                .first()
                .map(|it| it.last_failed_at - it.first_failed_at);
            let waited = waited.as_ref().map(TimeDelta::to_std).and_then(Result::ok);
            let left = timeout.checked_sub(waited.unwrap_or_default());
            let Some(left) = left.filter(|left| !left.is_zero()) else {
                return Ok(false);
            };
            until = Instant::now().checked_add(left);
        }
        self.memory.waiting = Some(Waiting {
            topic,
            position: message.position,
            cursor: page.cursor_on(message.topic, handled),
            until,
        });
        // Once a message is passed, the next one is not the first that the earlier holder had.
        if handled == 0 {
            leases.hand_back(bus)?;
        }
        Ok(true)
    }
}
