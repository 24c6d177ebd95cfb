use std::fmt;
use std::time::Duration;

use super::handler::{HandlePages, HandlerError, PageOutcome};
use super::page::Page;
use crate::{
    Error, EventSet, Lease, Message, MessageConsumer, MessageConsumerState, Position, StoreCursor,
};

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
    fn leave_start<B>(&mut self, bus: &mut B, lease: &Lease, hold: Duration) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let Some(hook) = &mut self.before_replay else {
            return Ok(());
        };
        hook().map_err(|cause| Error::before_replay(&lease.topic, cause))?;
        bus.store_cursor(
            lease,
            &StoreCursor {
                cursor: Some(Position::START),
                hold: Some(hold),
            },
        )
    }
}

impl<S, B, F> HandlePages<S, B> for External<F>
where
    S: EventSet,
    B: MessageConsumerState + ?Sized,
    F: FnMut(&Message<S>) -> Result<(), HandlerError>,
{
    fn handle_page(
        &mut self,
        bus: &mut B,
        lease: &Lease,
        lease_duration: Duration,
        mut page: Page<S>,
    ) -> PageOutcome {
        if page.leaves_start()
            && let Err(error) = self.leave_start(bus, lease, lease_duration)
        {
            return PageOutcome::failed(error);
        }
        let mut outcome = PageOutcome::default();
        for message in &page.messages {
            if let Err(cause) = (self.handler)(message) {
                outcome.failure = Some(Error::handler(message, cause));
                break;
            }
            outcome.handled += 1;
        }
        let cursor = page.cursor_after(outcome.handled);
        if outcome.failure.is_none() {
            outcome.failure = page.failure.take();
        }
        if cursor == page.start {
            return outcome;
        }
        let store = StoreCursor { cursor, hold: None };
        match bus.store_cursor(lease, &store) {
            Ok(()) => outcome.lease_released = true,
            Err(error) => outcome.add_failure(error),
        }
        outcome
    }
}

impl<F> fmt::Debug for External<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("External").finish_non_exhaustive()
    }
}
