use std::fmt;

use super::due::Due;
use super::handler::{HandlePages, HandlerError, PageOutcome, guarded, handle};
use super::leases::{Leases, Then};
use super::page::Page;
use crate::correlation::Caused;
use crate::{Error, EventSet, Lease, Message, MessageConsumer, MessageConsumerState};

type BeforeReplay = Box<dyn FnMut() -> Result<(), HandlerError> + Send>;

/// The kind of handler that gets messages and no connection: at least once.
pub struct External<F> {
    handler: F,
    before_replay: Option<BeforeReplay>,
}

impl<S: EventSet, F> MessageConsumer<S, External<F>> {
    /// Sets a hook that is called when the consumer really starts from the beginning: once, before
    /// its first message ever or its first message after a reset to the start.
    #[must_use]
    pub fn before_replay<R>(mut self, hook: R) -> Self
    where
        R: FnMut() -> Result<(), HandlerError> + Send + 'static,
    {
        self.handler.before_replay = Some(Box::new(hook));
        self
    }
}

impl<F> External<F> {
    pub(super) fn new(handler: F) -> Self {
        Self {
            handler,
            before_replay: None,
        }
    }

    /// Calls the hook, and remembers that the consumer has left the start.
    fn leave_start<S, B>(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        page: &mut Page<S>,
    ) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let Some(hook) = &mut self.before_replay else {
            return Ok(());
        };
        guarded(hook).map_err(|cause| Error::of_hook(&leases.topics(), cause))?;
        leases.leave_start(bus)?;
        page.mark_started();
        Ok(())
    }
}

impl<S, B, F> HandlePages<S, B> for External<F>
where
    S: EventSet,
    B: MessageConsumerState + ?Sized,
    F: FnMut(&Message<S>) -> Result<(), HandlerError>,
{
    const NEEDS_HEARTBEAT: bool = true;

    fn has_hook(&self) -> bool {
        self.before_replay.is_some()
    }

    fn handle_page(&mut self, bus: &mut B, leases: &Leases, page: &mut Page<S>) -> PageOutcome {
        if page.leaves_start()
            && let Err(error) = self.leave_start(bus, leases, page)
        {
            return PageOutcome::failed(error);
        }
        let mut outcome = PageOutcome::default();
        let mut due = Due::after(leases.store_interval());
        let mut stopped = false;
        let caused = Caused::by_messages();
        for message in &page.messages {
            if leases.is_stopping() {
                stopped = true;
                break;
            }
            if let Err(cause) = handle(leases, &caused, message, || (self.handler)(message)) {
                outcome.handler_failed(message, cause);
                break;
            }
            outcome.handled += 1;
            // A slow page stores what is done, so that little of it is handled again if the process ends,
            // and prolongs the lease before it can expire.
            if due.has_come() {
                if let Err(error) = leases.store(bus, page, outcome.handled, Then::Hold) {
                    outcome.failed_to_store(error);
                    return outcome;
                }
                outcome.skipped = page.skipped_after(outcome.handled);
                due = Due::after(leases.store_interval());
            }
        }
        drop(caused);
        if outcome.failure.is_none() && !stopped {
            outcome.failure = page.failure.take();
        }
        if page.stands_still() {
            return outcome;
        }
        // Whoever decides on a failure still needs the lease.
        let then = match outcome.failure {
            Some(_) => Then::Hold,
            None => page.then,
        };
        match leases.store(bus, page, outcome.handled, then) {
            Ok(()) => {
                outcome.skipped = page.skipped_after(outcome.handled);
                leases.released.set(then == Then::Release);
            }
            Err(error) => outcome.failed_to_store(error),
        }
        outcome
    }

    fn handle_redriven(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        lease: &Lease,
        message: &Message<S>,
    ) -> Result<bool, Error> {
        let caused = Caused::by_messages();
        handle(leases, &caused, message, || (self.handler)(message))
            .map_err(|cause| Error::of_handler(message, cause))?;
        // Whoever has taken the lease meanwhile handles it too.
        bus.take_redriven(lease, message.position(), leases.duration)
    }
}

impl<F> fmt::Debug for External<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("External").finish_non_exhaustive()
    }
}
