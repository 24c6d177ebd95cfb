use std::fmt;
use std::ops::Range;

use super::handler::{HandlePages, HandlerError, Leases, PageOutcome, Then, guarded, handle};
use super::page::Page;
use super::search::Search;
use crate::correlation::Caused;
use crate::{
    Error, EventSet, Lease, Message, MessageConsumer, MessageConsumerState, TransactionsOn, observe,
};

type BeforeReplay<C> = Box<dyn FnMut(&mut C) -> Result<(), HandlerError> + Send>;

/// The kind of handler that gets the connection on whose commit the cursor moves: its changes take
/// effect exactly once.
pub struct Transactional<C: ?Sized, H> {
    handler: H,
    before_replay: Option<BeforeReplay<C>>,
}

/// Hands messages to a transactional handler one by one.
#[derive(Debug)]
pub struct Each<F>(pub(super) F);

/// Hands messages to a transactional handler a page at a time.
#[derive(Debug)]
pub struct Pages<F>(pub(super) F);

impl<S: EventSet, C: ?Sized, H> MessageConsumer<S, Transactional<C, H>> {
    /// Sets a hook that is called when the consumer really starts from the beginning: before its
    /// first message ever or its first message after a reset to the start. Its changes take effect
    /// exactly once, in a transaction of their own.
    #[must_use]
    pub fn before_replay<R>(mut self, hook: R) -> Self
    where
        R: FnMut(&mut C) -> Result<(), HandlerError> + Send + 'static,
    {
        self.handler.before_replay = Some(Box::new(hook));
        self
    }
}

impl<C: ?Sized, H> Transactional<C, H> {
    pub(super) fn new(handler: H) -> Self {
        Self {
            handler,
            before_replay: None,
        }
    }

    /// Remembers that the consumer has left the start, and calls the hook.
    fn leave_start<S, B>(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        page: &mut Page<S>,
    ) -> Result<(), Error>
    where
        B: MessageConsumerState + TransactionsOn<C> + ?Sized,
    {
        let Some(hook) = &mut self.before_replay else {
            return Ok(());
        };
        bus.in_transaction(|bus| {
            leases.leave_start(bus)?;
            guarded(|| hook(bus.connection()))
                .map_err(|cause| Error::of_hook(&leases.topics(), cause))
        })?;
        page.mark_started();
        Ok(())
    }

    /// Handles a range of the page and stores the cursors behind it, in one transaction; returns how
    /// many messages were handled, which are fewer if the consumer is to end.
    ///
    /// The cursors come first: that write fences the effects off from whoever took the lease, and a
    /// handler whose statement makes the database roll back takes them along.
    fn attempt<S, B>(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        page: &Page<S>,
        range: Range<usize>,
        then: Then,
    ) -> Result<usize, Failure>
    where
        S: EventSet,
        B: MessageConsumerState + TransactionsOn<C> + ?Sized,
        H: HandleMessages<S, C>,
    {
        let messages = &page.messages[range.clone()];
        let handled = bus.in_transaction(|bus| {
            leases.store(bus, page, range.end, then)?;
            let handled = self
                .handler
                .handle(bus.connection(), messages, leases)
                .map_err(|(index, cause)| Failure::Handler(index, cause))?;
            if handled < messages.len() {
                leases.store_instead(bus, page, range.start + handled)?;
            }
            Ok(handled)
        });
        handled.map_err(|failure: Failure| failure.classified(messages))
    }
}

impl<S, B, C, H> HandlePages<S, B> for Transactional<C, H>
where
    S: EventSet,
    C: ?Sized,
    B: MessageConsumerState + TransactionsOn<C> + ?Sized,
    H: HandleMessages<S, C>,
{
    const NEEDS_HEARTBEAT: bool = false;

    fn handle_page(&mut self, bus: &mut B, leases: &Leases, page: &mut Page<S>) -> PageOutcome {
        if page.leaves_start()
            && let Err(error) = self.leave_start(bus, leases, page)
        {
            return PageOutcome::failed(error);
        }
        let mut outcome = PageOutcome::default();
        let mut search = Search::over(page.messages.len());
        while !page.stands_still() {
            // Whoever decides on a failure still needs the lease.
            let then = if search.reaches_end() && page.failure.is_none() {
                page.then
            } else {
                Then::Hold
            };
            let range = search.range();
            match self.attempt(bus, leases, page, range.clone(), then) {
                Ok(handled) if handled < range.len() => {
                    outcome.handled = range.start + handled;
                    leases.released.set(true);
                    outcome.skipped = page.skipped_after(outcome.handled);
                    return outcome;
                }
                Ok(_) => {
                    search.succeeded();
                    outcome.skipped = page.skipped_after(search.handled());
                }
                Err(Failure::Bus(error)) => {
                    outcome.failure = Some(error);
                    break;
                }
                Err(Failure::Stopping) => break,
                Err(Failure::Handler(offset, cause)) => search.failed(offset, cause),
            }
            if let Some((index, cause)) = search.culprit() {
                outcome.failure = Some(Error::handler(&page.messages[index], cause));
                break;
            }
            if search.is_done() {
                leases.released.set(then == Then::Release);
                break;
            }
        }
        outcome.handled = search.handled();
        outcome.failure = outcome.failure.or_else(|| page.failure.take());
        outcome
    }

    fn handle_redriven(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        lease: &Lease,
        message: &Message<S>,
    ) -> Result<bool, Error> {
        let position = message.position();
        let handled = bus.in_transaction(|bus| {
            // The fence, as for a page.
            bus.renew(lease, leases.duration)?;
            if !bus.take_redriven(lease, position)? {
                return Ok(false);
            }
            let messages = std::slice::from_ref(message);
            let handled = self
                .handler
                .handle(bus.connection(), messages, leases)
                .map_err(|(index, cause)| Failure::Handler(index, cause))?;
            match handled {
                0 => Err(Failure::Stopping),
                _ => Ok(true),
            }
        });
        handled.or_else(|failure| match failure {
            Failure::Bus(error) => Err(error),
            Failure::Handler(_, cause) => Err(Error::of_handler(message, cause)),
            Failure::Stopping => Ok(false),
        })
    }
}

/// Why an attempt was rolled back.
enum Failure {
    /// The handler failed: on the message at this offset, where it can tell.
    Handler(Option<usize>, HandlerError),
    /// The bus failed.
    Bus(Error),
    /// The consumer is to end.
    Stopping,
}

impl Failure {
    /// What a database may do when it is asked again is not the message's fault: no attempt is counted. This
    /// may ask for the error's text, so all effects have to be rolled back before.
    fn classified<S: EventSet>(self, messages: &[Message<S>]) -> Self {
        let Self::Handler(index, cause) = self else {
            return self;
        };
        let message = index.and_then(|index| messages.get(index));
        let passing = Error::passing_in_handler(message, cause);
        passing.map_or_else(|cause| Self::Handler(index, cause), Self::Bus)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Bus(error)
    }
}

/// A way to hand a range of messages to a closure.
#[doc(hidden)]
pub trait HandleMessages<S, C: ?Sized> {
    /// Returns how many it has handled: all, if nobody stops it. The error comes with the offset of the
    /// message that it is about, where that is known.
    fn handle(
        &mut self,
        connection: &mut C,
        messages: &[Message<S>],
        leases: &Leases,
    ) -> Result<usize, (Option<usize>, HandlerError)>;
}

impl<S, C, F> HandleMessages<S, C> for Each<F>
where
    S: EventSet,
    C: ?Sized,
    F: FnMut(&mut C, &Message<S>) -> Result<(), HandlerError>,
{
    fn handle(
        &mut self,
        connection: &mut C,
        messages: &[Message<S>],
        leases: &Leases,
    ) -> Result<usize, (Option<usize>, HandlerError)> {
        let caused = Caused::by_messages();
        for (offset, message) in messages.iter().enumerate() {
            if leases.is_stopping() {
                return Ok(offset);
            }
            handle(leases, &caused, message, || (self.0)(connection, message))
                .map_err(|cause| (Some(offset), cause))?;
        }
        Ok(messages.len())
    }
}

impl<S, C, F> HandleMessages<S, C> for Pages<F>
where
    S: EventSet,
    C: ?Sized,
    F: FnMut(&mut C, &[Message<S>]) -> Result<(), HandlerError>,
{
    fn handle(
        &mut self,
        connection: &mut C,
        messages: &[Message<S>],
        leases: &Leases,
    ) -> Result<usize, (Option<usize>, HandlerError)> {
        if let Some(last) = messages.last() {
            let alone = (messages.len() == 1).then_some(0);
            let _handling = observe::handling(leases, last);
            guarded(|| (self.0)(connection, messages)).map_err(|cause| (alone, cause))?;
        }
        Ok(messages.len())
    }
}

impl<C: ?Sized, H> fmt::Debug for Transactional<C, H> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Transactional")
            .finish_non_exhaustive()
    }
}
