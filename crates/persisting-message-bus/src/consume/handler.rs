use crate::consume::errors::HandlerError;
use crate::consume::leases::{LeaseDisposition, Leases};
use crate::consume::page::Page;
use crate::error::Error;
use crate::error::class::Class;
use crate::message::topic::EventSet;
use crate::message::typed::Message;
use crate::observe;
use crate::panics::catch_panic;
use crate::publish::correlation::CauseGuard;
use crate::store::lease::Lease;

/// A kind of handler that can work on the bus `B`. Only [`External`](crate::handler::External),
/// [`Transactional`](crate::handler::Transactional) and their async forms implement it.
pub trait PageHandler<S, B: ?Sized> {
    /// Whether a heartbeat must renew the lease while a page is handled. A transactional page needs
    /// none, because its write to the consumer's row keeps other holders from taking the lease.
    #[doc(hidden)]
    const NEEDS_HEARTBEAT: bool;

    /// Returns whether there is a hook that is called before the first message.
    #[doc(hidden)]
    fn has_hook(&self) -> bool;

    /// Handles the page and stores the cursors after it. `then` applies to the leases with the last
    /// cursor, unless the page ends early.
    #[doc(hidden)]
    fn handle_page(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        page: &mut Page<S>,
        then: LeaseDisposition,
    ) -> PageOutcome;

    /// Handles a redriven message. Returns whether it was still redriven.
    #[doc(hidden)]
    fn handle_redriven(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        lease: &Lease,
        message: &Message<S>,
    ) -> Result<bool, Error>;
}

/// The outcome of a page.
#[derive(Debug, Default)]
pub struct PageOutcome {
    pub(super) handled: usize,
    /// The number of unknown messages that the stored cursors have passed.
    pub(super) skipped: usize,
    pub(super) failure: Option<Error>,
    /// The messages that were tried, if the failure is an interruption.
    pub(super) interrupted: Option<Tried>,
    /// The number of attempts, if the failure is already noted because its message has final
    /// effects.
    pub(super) noted: Option<u32>,
    /// The number of the page's messages with final effects, if the cursor after them could not be
    /// stored.
    pub(super) unstored: Option<usize>,
    /// Whether the leases were released with the last cursor.
    pub(super) released: bool,
    /// Whether the cursors after the handled messages could not be stored.
    pub(super) is_not_stored: bool,
}

/// Messages that were tried together, after the handled ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tried {
    pub(super) messages: usize,
    /// The offset of the interrupted message, if it is known.
    pub(super) offset: Option<usize>,
}

impl PageOutcome {
    /// Returns the outcome of a page of which nothing was handled or stored.
    pub(super) fn failed(error: Error) -> Self {
        Self {
            failure: Some(error),
            is_not_stored: true,
            ..Self::default()
        }
    }

    /// Records that the handler failed on the first unhandled message.
    pub(super) fn handler_failed<S: EventSet>(
        &mut self,
        message: &Message<S>,
        cause: HandlerError,
    ) {
        let error = Error::of_handler(message, cause);
        self.interrupted = error.is_interruption().then_some(Tried {
            messages: 1,
            offset: Some(0),
        });
        self.failure = Some(error);
    }

    /// Records that a cursor could not be stored after external effects.
    pub(super) fn failed_to_store(&mut self, error: Error) {
        self.is_not_stored = true;
        // To store the cursor later is better than to handle the messages again.
        if error.class().is_some_and(Class::may_pass) {
            self.unstored = Some(self.handled);
        }
        self.add_failure(error);
    }

    /// Adds a failure after the earlier one, if there is one.
    pub(super) fn add_failure(&mut self, error: Error) {
        self.failure = Some(match self.failure.take() {
            Some(first) => first.followed_by(error),
            None => error,
        });
    }
}

/// Calls a handler with a message. `caused` makes this message the cause of the messages that the
/// handler dispatches.
pub(super) fn call_handler<S: EventSet>(
    leases: &Leases,
    caused: &CauseGuard,
    message: &Message<S>,
    handle: impl FnOnce() -> Result<(), HandlerError>,
) -> Result<(), HandlerError> {
    let _handling = observe::handling(&leases.handler_times, message);
    caused.by_message(message);
    catch_panic(handle)
}
