use std::fmt;
use std::ops::Range;

use tracing::warn;

use super::attempt::{Culprit, Failure, judge_at_end};
use super::hand_over::HandleMessages;
use super::handler::{HandlePages, HandlerError, PageOutcome, Tried, guarded};
use super::leases::{Leases, Then};
use super::page::Page;
use super::search::Search;
use crate::transactions::Guarded;
use crate::{
    Error, EventSet, Lease, Message, MessageConsumer, MessageConsumerState, TransactionState,
    TransactionsOn,
};

type BeforeReplay<C> = Box<dyn FnMut(&mut C) -> Result<(), HandlerError> + Send>;

/// The kind of handler that gets the connection on whose commit the cursor moves: its changes take
/// effect exactly once.
pub struct Transactional<C: ?Sized, H> {
    handler: H,
    before_replay: Option<BeforeReplay<C>>,
}

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

    /// Calls the hook, and remembers that the consumer has left the start.
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
        let mut transaction = Guarded::begin(bus)?;
        leases.begin_work(transaction.bus())?;
        let called = guarded(|| hook(transaction.bus().connection()));
        let state = transaction.state_at_end();
        if let Err(cause) = called {
            // To ask it for its text calls code of the application.
            drop(transaction);
            return Err(Error::of_hook(&leases.topics(), cause));
        }
        match state? {
            TransactionState::Open => {
                leases.leave_start(transaction.bus())?;
                transaction.commit()?;
            }
            left => {
                drop(transaction);
                // A TRUNCATE, which commits by itself, is what such a hook does. It was called, and what it
                // did is final: only that must not be said before.
                if !leases.was_committed(bus)? {
                    let cause = Error::transaction_left(left);
                    return Err(Error::before_replay(&leases.topics(), cause.into()));
                }
                leases.leave_start(bus)?;
            }
        }
        page.mark_started();
        Ok(())
    }

    /// Handles a range of the page and stores the cursors after it, in one transaction; returns how
    /// many messages were handled, which are fewer if the consumer is to end.
    ///
    /// First the leases are written: whoever wants to take one waits until the transaction ends. The cursors
    /// come last, when it is known that the transaction is still the one that was begun.
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
        let mut transaction = Guarded::begin(bus).map_err(Failure::Before)?;
        leases
            .begin_work(transaction.bus())
            .map_err(Failure::Before)?;
        let messages = &page.messages[range.clone()];
        let handled = self.handler.handle(&mut transaction, messages, leases)?;
        judge_at_end(&mut transaction, messages.len())?;
        let then = if handled < messages.len() {
            Then::Release
        } else {
            then
        };
        leases
            .store(transaction.bus(), page, range.start + handled, then)
            .and_then(|()| transaction.commit())
            .map_err(|error| Failure::after(messages.len(), error))?;
        Ok(handled)
    }

    /// The transaction of a range ended before its end, at a message of which something may be final.
    ///
    /// That is noted first, so that it is not attempted again whatever happens meanwhile. Whether the messages
    /// before it were committed, or rolled back, shows in the consumer's row. Where they were, their cursor is
    /// stored together with the note.
    fn ended<S, B>(
        bus: &mut B,
        leases: &Leases,
        page: &Page<S>,
        index: usize,
        culprit: Culprit,
        outcome: &mut PageOutcome,
    ) where
        S: EventSet,
        B: MessageConsumerState + TransactionsOn<C> + ?Sized,
    {
        let message = &page.messages[index];
        let error = culprit.error(message);
        let noted = bus.in_transaction(|bus| {
            let attempts = leases.note_final(bus, message, &error)?;
            let committed = leases.was_committed(bus)?;
            if committed {
                leases.store(bus, page, index, Then::Hold)?;
            }
            Ok::<_, Error>((attempts, committed))
        });
        match noted {
            Ok((attempts, committed)) => {
                outcome.noted = Some(attempts);
                outcome.failure = Some(error);
                if committed {
                    outcome.handled = index;
                }
            }
            // Without the note, the message must not be settled: those before it may have been rolled back.
            Err(second) => outcome.failure = Some(second.followed_by(error)),
        }
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
        let mut search = Search::over(page.messages.len());
        while !page.stands_still() {
            // Whoever decides on a failure still needs the lease.
            let then = if search.reaches_end() && page.failure.is_none() {
                page.then
            } else {
                Then::Hold
            };
            let range = search.range();
            let attempt = self.attempt(bus, leases, page, range.clone(), then);
            match attempt.map_err(Failure::told) {
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
                Err(Failure::Before(error)) => {
                    outcome.failure = Some(error);
                    break;
                }
                Err(Failure::Stopping) => break,
                Err(Failure::Message(offset, culprit)) if culprit.goes_on(offset) => {
                    search.failed(offset, culprit);
                }
                Err(Failure::Message(offset, culprit)) => {
                    let first = &page.messages[range.start + offset.unwrap_or_default()];
                    outcome.failure = Some(culprit.error(first));
                    outcome.interrupted = Some(Tried {
                        messages: range.len(),
                        offset,
                    });
                    break;
                }
                Err(Failure::Ended(Some(offset), culprit)) => {
                    outcome.handled = search.handled();
                    let index = range.start + offset;
                    Self::ended(bus, leases, page, index, culprit, &mut outcome);
                    return outcome;
                }
                Err(Failure::Ended(None, culprit)) => {
                    // Of many messages that were handed out together, the guilty one can only be found by
                    // trying.
                    warn!(
                        messaging.consumer.group.name = leases.consumer(),
                        "a handler of pages left its transaction: effects that were committed may be \
                         repeated until the message is found"
                    );
                    search.failed(None, culprit);
                }
            }
            if let Some((index, culprit)) = search.culprit() {
                if culprit.is_interruption() {
                    outcome.interrupted = Some(Tried {
                        messages: 1,
                        offset: Some(0),
                    });
                }
                outcome.failure = Some(culprit.error(&page.messages[index]));
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
        let mut transaction = Guarded::begin(bus)?;
        leases.begin_work(transaction.bus())?;
        let bus = transaction.bus();
        if !bus.is_redriven(lease, position, leases.duration)? {
            return Ok(false);
        }
        let messages = std::slice::from_ref(message);
        let handled = self.handler.handle(&mut transaction, messages, leases);
        let taken = match handled {
            Ok(0) => Err(Failure::Stopping),
            Ok(_) => judge_at_end(&mut transaction, 1).and_then(|()| {
                let taken = transaction
                    .bus()
                    .take_redriven(lease, position, leases.duration);
                taken
                    .and_then(|taken| transaction.commit().map(|()| taken))
                    .map_err(|error| Failure::after(1, error))
            }),
            Err(failure) => {
                drop(transaction);
                Err(failure.told())
            }
        };
        taken.or_else(|failure| match failure {
            Failure::Before(error) => Err(error),
            Failure::Message(_, culprit) | Failure::Ended(_, culprit) => {
                Err(culprit.error(message))
            }
            Failure::Stopping => Ok(false),
        })
    }
}

impl<C: ?Sized, H> fmt::Debug for Transactional<C, H> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Transactional")
            .finish_non_exhaustive()
    }
}
