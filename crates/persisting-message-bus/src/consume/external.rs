use std::fmt;

use crate::consume::consumer::MessageConsumer;
use crate::consume::deadline::Deadline;
use crate::consume::errors::HandlerError;
use crate::consume::handler::{PageHandler, PageOutcome, call_handler};
use crate::consume::handler_result::HandlerResult;
use crate::consume::keeping::Kept;
use crate::consume::leases::{LeaseDisposition, Leases};
use crate::consume::page::Page;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::message::typed::Message;
use crate::panics::catch_panic;
use crate::publish::correlation::CauseGuard;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::lease::Lease;

type BeforeReplay = Box<dyn FnMut() -> Result<(), HandlerError> + Send>;

/// The kind of handler that receives messages and no connection. It handles each message at least
/// once.
pub struct External<F> {
    handler: F,
    before_replay: Option<BeforeReplay>,
}

impl<S> MessageConsumer<S> {
    /// Creates a consumer that calls `handler` with one message at a time.
    ///
    /// The handler can use the message id to detect a message that it has already handled.
    pub fn external<F, R>(name: impl Into<String>, handler: F) -> MessageConsumer<S, External<F>>
    where
        S: EventSet,
        F: FnMut(&Message<S>) -> R,
        R: HandlerResult,
    {
        MessageConsumer::with_handler(name, External::new(handler))
    }
}

impl<S: EventSet, F> MessageConsumer<S, External<F>> {
    /// Sets a hook that is called once when the consumer starts from the beginning: before its
    /// first message ever, or before its first message after a reset to the start.
    #[must_use]
    pub fn before_replay<R>(mut self, mut hook: impl FnMut() -> R + Send + 'static) -> Self
    where
        R: HandlerResult,
    {
        self.handler.set_hook(move || hook().into_result());
        self
    }
}

impl<F> External<F> {
    pub(crate) fn new(handler: F) -> Self {
        Self {
            handler,
            before_replay: None,
        }
    }

    pub(crate) fn set_hook(
        &mut self,
        hook: impl FnMut() -> Result<(), HandlerError> + Send + 'static,
    ) {
        self.before_replay = Some(Box::new(hook));
    }

    /// Calls the hook, and stores that the consumer has left the start. The hook can empty what another
    /// holder has written since, so the lease must be certain.
    fn leave_start<S, B>(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        page: &mut Page<S>,
        due: &mut Deadline,
    ) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let Some(hook) = &mut self.before_replay else {
            return Ok(());
        };
        if let Kept::Late(error) = leases.extend_if_due(bus, due)? {
            return Err(error);
        }
        catch_panic(hook).map_err(|cause| Error::of_hook(&leases.topics(), cause))?;
        leases.leave_start(bus)?;
        page.mark_started();
        Ok(())
    }
}

impl<S, B, F, R> PageHandler<S, B> for External<F>
where
    S: EventSet,
    B: MessageConsumerState + ?Sized,
    F: FnMut(&Message<S>) -> R,
    R: HandlerResult,
{
    const NEEDS_HEARTBEAT: bool = true;

    fn has_hook(&self) -> bool {
        self.before_replay.is_some()
    }

    fn handle_page(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        page: &mut Page<S>,
        then: LeaseDisposition,
    ) -> PageOutcome {
        let mut due = leases.due;
        if page.leaves_start()
            && let Err(error) = self.leave_start(bus, leases, page, &mut due)
        {
            return PageOutcome::failed(error);
        }
        let mut outcome = PageOutcome::default();
        let mut stopped = false;
        let caused = CauseGuard::by_messages();
        for message in &page.messages {
            if leases.is_stopping() {
                stopped = true;
                break;
            }
            // A slow page stores its cursor regularly. So a crash repeats little, and the lease is
            // renewed before it can expire. The next message begins only after that: a process that
            // was frozen learns here that another holder has taken the lease.
            match leases.keep_if_due(bus, page, outcome.handled, &mut due) {
                Ok(Kept::NotDue) => {}
                Ok(Kept::InTime) => outcome.skipped = page.skipped_after(outcome.handled),
                Ok(Kept::Late(error)) if outcome.handled == 0 => {
                    outcome.add_failure(error);
                    return outcome;
                }
                Ok(Kept::Late(_)) => {
                    // The page ends here. The store at its end finds out whether another holder has taken
                    // the lease.
                    stopped = true;
                    break;
                }
                Err(error) => {
                    outcome.failed_to_store(error);
                    return outcome;
                }
            }
            if let Err(cause) = call_handler(leases, &caused, message, || {
                (self.handler)(message).into_result()
            }) {
                outcome.handler_failed(message, cause);
                break;
            }
            outcome.handled += 1;
        }
        drop(caused);
        // The page's own failure comes after all of its messages. A stopped page has not reached
        // it.
        if outcome.failure.is_none() && !stopped {
            outcome.failure = page.failure.take();
        }
        if page.makes_no_progress() {
            return outcome;
        }
        // The lease is still needed to settle a failure.
        let then = match outcome.failure {
            Some(_) => LeaseDisposition::Extend,
            None => then,
        };
        // At the start, an attempt is progress: from then on the consumer has run, and `start_at` has no
        // effect.
        let stored = if outcome.failure.is_some() && !page.leaves_start() {
            leases.keep(bus, page, outcome.handled)
        } else {
            leases.store(bus, page, outcome.handled, then)
        };
        match stored {
            Ok(()) => {
                outcome.skipped = page.skipped_after(outcome.handled);
                outcome.released = then == LeaseDisposition::Release;
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
        let caused = CauseGuard::by_messages();
        call_handler(leases, &caused, message, || {
            (self.handler)(message).into_result()
        })
        .map_err(|cause| Error::of_handler(message, cause))?;
        // If another holder has taken the lease meanwhile, that holder handles the message, too.
        bus.take_redriven(lease, message.position(), leases.duration)
    }
}

impl<F> fmt::Debug for External<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("External").finish_non_exhaustive()
    }
}
