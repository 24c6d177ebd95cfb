use std::any::Any;
use std::error::Error as StdError;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::leases::Leases;
use super::page::Page;
use crate::correlation::Caused;
use crate::error::class::Class;
use crate::{Error, EventSet, Lease, Message, observe};

/// What a handler fails with: any error, through `?`.
pub type HandlerError = Box<dyn StdError + Send + Sync>;

/// A kind of handler that can work on the bus `B`. Implemented by [`External`](crate::External) and
/// [`Transactional`](crate::Transactional) only.
pub trait HandlePages<S, B: ?Sized> {
    /// Whether somebody else has to prolong the lease while a page is handled: a transaction that has
    /// written the consumer's row keeps others from taking it.
    #[doc(hidden)]
    const NEEDS_HEARTBEAT: bool;

    /// Whether there is a hook that is called before the first message.
    #[doc(hidden)]
    fn has_hook(&self) -> bool;

    #[doc(hidden)]
    fn handle_page(&mut self, bus: &mut B, leases: &Leases, page: &mut Page<S>) -> PageOutcome;

    /// Handles a redriven message, and says whether it still was to be handled.
    #[doc(hidden)]
    fn handle_redriven(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        lease: &Lease,
        message: &Message<S>,
    ) -> Result<bool, Error>;
}

/// What became of a page.
#[derive(Debug, Default)]
pub struct PageOutcome {
    pub(super) handled: usize,
    /// How many unknown messages the stored cursors have passed.
    pub(super) skipped: usize,
    pub(super) failure: Option<Error>,
    /// What was tried when the failure came, where that may be nobody's fault.
    pub(super) interrupted: Option<Tried>,
    /// The failure is noted already, as so many attempts: something of its message is final.
    pub(super) noted: Option<u32>,
    /// Effects are final up to so many messages of the page, and the cursor could not be stored there.
    pub(super) unstored: Option<usize>,
}

/// Messages that were tried together, after those that were handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tried {
    pub(super) messages: usize,
    /// Which of them was interrupted, where that is known.
    pub(super) offset: Option<usize>,
}

impl PageOutcome {
    pub(super) fn failed(error: Error) -> Self {
        Self {
            failure: Some(error),
            ..Self::default()
        }
    }

    /// The handler failed on the first message that is not handled.
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

    /// A cursor could not be stored, after external effects.
    pub(super) fn failed_to_store(&mut self, error: Error) {
        // To handle the messages again is worse than to store it later.
        if error.class().is_some_and(Class::may_pass) {
            self.unstored = Some(self.handled);
        }
        self.add_failure(error);
    }

    /// A failure that came after the one there is, if there is one.
    pub(super) fn add_failure(&mut self, error: Error) {
        self.failure = Some(match self.failure.take() {
            Some(first) => first.followed_by(error),
            None => error,
        });
    }
}

/// Calls a handler with a message, which is the cause of what it dispatches: one of the messages of `caused`.
pub(super) fn handle<S: EventSet>(
    leases: &Leases,
    caused: &Caused,
    message: &Message<S>,
    handle: impl FnOnce() -> Result<(), HandlerError>,
) -> Result<(), HandlerError> {
    let _handling = observe::handling(leases, message);
    message.set_as_cause(caused);
    guarded(handle)
}

/// Calls a closure of the application; its panic is an error like others.
pub(crate) fn guarded<T>(run: impl FnOnce() -> Result<T, HandlerError>) -> Result<T, HandlerError> {
    // What it left half done is its own: it is called again.
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = text_of_panic(&*panic);
        Err(format!("it panicked: {text}").into())
    })
}

/// What somebody said who panicked.
pub(crate) fn text_of_panic(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a text").to_owned()
}
