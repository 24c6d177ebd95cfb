//! The consequences of a failed attempt.

use std::time::{Duration, Instant};

use crate::consume::caution::{Interruption, Known, Verdict};
use crate::consume::consumer::MessageConsumer;
use crate::consume::handler::Tried;
use crate::consume::leases::Leases;
use crate::consume::page::Page;
use crate::consume::progress::Progress;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::position::Position;
use crate::store::consumer_state::MessageConsumerState;

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Settles a failure that is already noted, because its message has final effects. Applies the
    /// failure policy now if the messages before it are handled, and otherwise at a later poll.
    pub(super) fn settle_final<B>(
        &mut self,
        bus: &mut B,
        leases: &mut Leases,
        page: &Page<S>,
        handled: usize,
        error: Error,
        attempts: u32,
    ) -> Result<Progress, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let first = page.messages.get(handled);
        let is_first = first.is_some_and(|first| Some(first.position()) == error.position());
        if is_first && self.memory.unstored.is_none() {
            let error = error.attempted(attempts, attempts, Duration::ZERO);
            self.give_up(bus, leases, error)?;
            return Ok(Progress::poll(handled));
        }
        // This is not the last attempt, so the runner polls again at once and finds the note.
        Err(error.attempted(attempts, attempts + 1, Duration::ZERO))
    }

    /// Settles the failure of a message after the first `handled` ones of the page.
    pub(super) fn settle_failure<B>(
        &mut self,
        bus: &mut B,
        leases: &mut Leases,
        page: &Page<S>,
        handled: usize,
        error: Error,
    ) -> Result<Progress, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        // The cursor can pass only the first unhandled message.
        if let Some(first) = page.messages.get(handled)
            && error.position() != Some(first.position())
        {
            return Err(error);
        }
        if error.is_unknown_message() && self.waits_before(bus, leases, page, handled, &error)? {
            return Err(error);
        }
        let (topic, position) = self.record_and_apply_policy(bus, leases, error)?;
        let passed = page.skipped_before(topic, position, handled);
        self.skipped += passed as u64;
        Ok(Progress::poll(handled))
    }

    /// Records an interruption that happens now, and returns its consequence.
    pub(super) fn verdict(&mut self, at: Interruption) -> Verdict {
        let patience = self.settings.retry.unwrap_or_default().patience();
        self.memory
            .caution
            .interrupted(at, patience, Instant::now())
    }

    /// Settles an interruption of the before-replay hook. The hook is called again, unless its
    /// interruptions have lasted for long. Then the hook has failed.
    pub(super) fn settle_hook(&mut self, leases: &Leases, error: Error) -> Error {
        match self.verdict(Interruption::alone(Position::START)) {
            Verdict::TryAgain => error,
            Verdict::Counts => Error::before_replay(&leases.topics(), error.into()),
        }
    }

    /// Settles an interruption after the first `handled` messages of the page. It is not a failure
    /// of a message, unless the interruptions have lasted for long.
    pub(super) fn settle_interruption<B>(
        &mut self,
        bus: &mut B,
        leases: &mut Leases,
        page: &Page<S>,
        handled: usize,
        tried: Tried,
        error: Error,
    ) -> Result<Progress, Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let (Some(first), Some(last)) = (page.messages.get(handled), page.messages.last()) else {
            return Err(error);
        };
        let at = Interruption {
            first: first.position(),
            last: last.position(),
            tried: tried.messages,
            known: tried.offset.and_then(|before| {
                let message = page.messages.get(handled + before)?;
                Some(Known {
                    position: message.position(),
                    before,
                })
            }),
        };
        match self.verdict(at) {
            Verdict::TryAgain => Err(error),
            // The failure cannot be noted without a connection. The next connection notes it first.
            Verdict::Counts if error.is_disconnected() => {
                self.memory.caution.owe(at.first, error.failure().into());
                Err(error)
            }
            Verdict::Counts => {
                let failed = Error::handler(first, error.into());
                self.settle_failure(bus, leases, page, handled, failed)
            }
        }
    }
}
