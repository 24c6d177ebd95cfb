use std::any::Any;
use std::cell::Cell;
use std::error::Error as StdError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::page::Page;
use crate::correlation::Caused;
use crate::observe::HandlerTimes;
use crate::runner::Signals;
use crate::{
    Error, EventSet, Lease, LeaseRequest, Message, MessageConsumerState, Position, StoreCursor,
    observe,
};

/// What a handler fails with: any error, through `?`.
pub type HandlerError = Box<dyn StdError + Send + Sync>;

/// A kind of handler that can work on the bus `B`. Implemented by [`External`](crate::External) and
/// [`Transactional`](crate::Transactional) only.
pub trait HandlePages<S, B: ?Sized> {
    /// Whether somebody else has to prolong the lease while a page is handled: a transaction that has
    /// stored the cursor keeps others from taking it.
    #[doc(hidden)]
    const NEEDS_HEARTBEAT: bool;

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

/// The leases on the topics of a page, in the same order.
#[derive(Debug)]
pub struct Leases {
    pub(super) leases: Vec<Lease>,
    pub(super) duration: Duration,
    /// Who may ask the consumer to end before the page does.
    pub(super) signals: Arc<Signals>,
    /// Whether they were given back.
    pub(super) released: Cell<bool>,
    pub(crate) handler_times: HandlerTimes,
}

/// What becomes of the leases when cursors are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Hold,
    Release,
}

/// What became of a page.
#[derive(Debug, Default)]
pub struct PageOutcome {
    pub(super) handled: usize,
    /// How many unknown messages the stored cursors have passed.
    pub(super) skipped: usize,
    pub(super) failure: Option<Error>,
}

impl Leases {
    /// Stores where the consumer stands when it has handled so many messages of the page.
    pub(super) fn store<S, B>(
        &self,
        bus: &mut B,
        page: &Page<S>,
        handled: usize,
        then: Then,
    ) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        // Those of topics without a message too: they have to be held as long.
        let mut cursors = self.leases.iter().zip(page.cursors_after(handled));
        cursors.try_for_each(|(lease, (_, cursor))| self.store_one(bus, lease, cursor, then))
    }

    /// Corrects, in the same transaction, what was stored for more messages than were handled, and
    /// gives the leases back.
    pub(super) fn store_instead<S, B>(
        &self,
        bus: &mut B,
        page: &Page<S>,
        handled: usize,
    ) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let mut cursors = self.leases.iter().zip(page.cursors_after(handled));
        cursors.try_for_each(|(lease, (_, cursor))| {
            // It may have been given back already.
            let lease = bus.acquire(&LeaseRequest {
                consumer: &lease.consumer,
                topic: &lease.topic,
                owner: &lease.owner,
                duration: self.duration,
            })?;
            self.store_one(bus, &lease, cursor, Then::Release)
        })
    }

    /// Remembers in them where the consumer stands behind the first messages of a page.
    pub(super) fn advance<S>(&mut self, page: &Page<S>, handled: usize) {
        let cursors = page.cursors_after(handled);
        for (lease, (_, cursor)) in self.leases.iter_mut().zip(cursors) {
            lease.cursor = cursor;
        }
    }

    /// Remembers that the consumer has left the start.
    pub(super) fn leave_start<B>(&self, bus: &mut B) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let start = Some(Position::START);
        let mut leases = self.leases.iter();
        leases.try_for_each(|lease| self.store_one(bus, lease, start, Then::Hold))
    }

    fn store_one<B>(
        &self,
        bus: &mut B,
        lease: &Lease,
        cursor: Option<Position>,
        then: Then,
    ) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let hold = (then == Then::Hold).then_some(self.duration);
        bus.store_cursor(lease, &StoreCursor { cursor, hold })
    }

    /// Keeps them for as long as nobody is to attempt anything, and gives them back by that.
    pub(super) fn rest<B>(&self, bus: &mut B, duration: Duration) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        self.released.set(true);
        let mut leases = self.leases.iter();
        leases.try_for_each(|lease| bus.renew(lease, duration))
    }

    /// Prolongs them.
    pub(super) fn renew<B>(&self, bus: &mut B) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        let mut leases = self.leases.iter();
        leases.try_for_each(|lease| bus.renew(lease, self.duration))
    }

    /// The one on a topic.
    pub(super) fn on(&self, topic: &str) -> Option<&Lease> {
        self.leases.iter().find(|lease| lease.topic == topic)
    }

    /// Whether the consumer is to end behind the message at hand.
    pub(super) fn is_stopping(&self) -> bool {
        self.signals.is_stopping()
    }

    /// Gives them back, all that can be.
    pub(super) fn release<B>(&self, bus: &mut B) -> Result<(), Error>
    where
        B: MessageConsumerState + ?Sized,
    {
        if self.released.replace(true) {
            return Ok(());
        }
        let mut leases = self.leases.iter();
        leases.try_for_each(|lease| bus.release(lease))
    }

    /// The topics, for errors.
    pub(super) fn topics(&self) -> String {
        let topics: Vec<_> = self
            .leases
            .iter()
            .map(|lease| lease.topic.as_str())
            .collect();
        topics.join(", ")
    }
}

impl PageOutcome {
    pub(super) fn failed(error: Error) -> Self {
        Self {
            failure: Some(error),
            ..Self::default()
        }
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
