//! What follows from an attempt that did not go well.

use std::time::{Duration, Instant};

use super::caution::{Interruption, Known, Verdict};
use super::handler::Tried;
use super::leases::Leases;
use super::page::Page;
use crate::{Error, EventSet, MessageConsumer, MessageConsumerState, Position};

impl<S: EventSet, H> MessageConsumer<S, H> {
    /// Something of a message is final, which is noted. It is given up now if those before it are handled, and
    /// at one of the next looks otherwise.
    pub(super) fn settle_final<B>(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        page: &Page<S>,
        handled: usize,
        error: Error,
        attempts: u32,
    ) -> Result<(usize, bool), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let first = page.messages.get(handled);
        let is_first = first.is_some_and(|first| Some(first.position()) == error.position());
        if is_first && self.unstored.is_none() {
            let error = error.attempted(attempts, attempts, Duration::ZERO);
            self.give_up(bus, leases, error)?;
            return Ok((handled, false));
        }
        Err(error.attempted(attempts, attempts + 1, Duration::ZERO))
    }

    /// A message fails that comes after the first `handled` ones of the page.
    pub(super) fn settle_failure<B>(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        page: &Page<S>,
        handled: usize,
        error: Error,
    ) -> Result<(usize, bool), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        // Only the first message that is not handled may be passed.
        if let Some(first) = page.messages.get(handled)
            && error.position() != Some(first.position())
        {
            return Err(error);
        }
        let (topic, position) = self.settle(bus, leases, error)?;
        let passed = page.skipped_before(topic, position, handled);
        self.skipped += passed as u64;
        Ok((handled, false))
    }

    /// The before-replay hook was interrupted. It is called again, unless that has gone on for long: then it has
    /// failed.
    pub(super) fn settle_hook(&mut self, leases: &Leases, error: Error) -> Error {
        let at = Interruption {
            first: Position::START,
            last: Position::START,
            tried: 1,
            known: None,
        };
        let retry = self.settings.retry.unwrap_or_default();
        match self
            .caution
            .interrupted(at, retry.patience(), Instant::now())
        {
            Verdict::TryAgain => error,
            Verdict::Counts => Error::before_replay(&leases.topics(), error.into()),
        }
    }

    /// An attempt was interrupted after the first `handled` messages of the page: that is no failure of a
    /// message, unless it has gone on for long.
    pub(super) fn settle_interruption<B>(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        page: &Page<S>,
        handled: usize,
        tried: Tried,
        error: Error,
    ) -> Result<(usize, bool), Error>
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
        let retry = self.settings.retry.unwrap_or_default();
        match self
            .caution
            .interrupted(at, retry.patience(), Instant::now())
        {
            Verdict::TryAgain => Err(error),
            // It cannot be noted without a connection: that comes first on the next one.
            Verdict::Counts if error.is_disconnected() => {
                self.caution.owe(at.first, error.failure().into());
                Err(error)
            }
            Verdict::Counts => {
                let failed = Error::handler(first, error.into());
                self.settle_failure(bus, leases, page, handled, failed)
            }
        }
    }
}
