//! What a transactional handler does in one transaction, and how that is settled if it ends early.

use std::ops::Range;

use crate::consume::attempt::{Failure, MessageFault, judge_at_end};
use crate::consume::hand_over::HandleMessages;
use crate::consume::handler::PageOutcome;
use crate::consume::leases::{LeaseDisposition, Leases};
use crate::consume::page::Page;
use crate::consume::transactional::Transactional;
use crate::error::Error;
use crate::message::topic::EventSet;
use crate::panics::catch_panic;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::transactions::{Guarded, TransactionControlOn, TransactionState};

impl<C: ?Sized, H> Transactional<C, H> {
    /// Calls the hook, and stores that the consumer has left the start.
    pub(super) fn leave_start<S, B>(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        page: &mut Page<S>,
    ) -> Result<(), Error>
    where
        B: MessageConsumerState + TransactionControlOn<C> + ?Sized,
    {
        let Some(hook) = &mut self.before_replay else {
            return Ok(());
        };
        let mut transaction = Guarded::begin(bus)?;
        leases.begin_work(transaction.bus())?;
        let called = catch_panic(|| {
            transaction
                .bus()
                .lend(|connection: &mut C| hook(connection))
        });
        let state = transaction.state_at_end();
        if let Err(cause) = called {
            // Reading the error's text calls code of the application, so the transaction ends
            // first.
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
                // A TRUNCATE in a hook commits by itself: the hook was called, and its effects are
                // final. The consumer must not store this before the row shows the commit.
                if !leases.was_committed(bus)? {
                    let cause = left.into_error();
                    return Err(Error::before_replay(&leases.topics(), cause.into()));
                }
                leases.leave_start(bus)?;
            }
        }
        page.mark_started();
        Ok(())
    }

    /// Handles a range of the page and stores the cursors after it, in one transaction. Returns the
    /// number of handled messages, which is lower than the range if the consumer must stop.
    ///
    /// The leases are written first, so that another holder that wants one waits until the
    /// transaction ends. The cursors are written last, when it is known that the transaction is
    /// still the one that was begun.
    pub(super) fn attempt<S, B>(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        page: &Page<S>,
        range: Range<usize>,
        then: LeaseDisposition,
    ) -> Result<usize, Failure>
    where
        S: EventSet,
        B: MessageConsumerState + TransactionControlOn<C> + ?Sized,
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
            LeaseDisposition::Release
        } else {
            then
        };
        leases
            .store(transaction.bus(), page, range.start + handled, then)
            .and_then(|()| transaction.commit())
            .map_err(|error| Failure::after(messages.len(), error))?;
        Ok(handled)
    }

    /// Settles a range whose transaction ended early, at a message that can have final effects.
    ///
    /// The consumer notes this first, so that the message is not attempted again whatever happens
    /// meanwhile. The consumer's row shows whether the messages before it were committed or rolled
    /// back. If they were committed, their cursor is stored together with the note.
    pub(super) fn ended<S, B>(
        bus: &mut B,
        leases: &Leases,
        page: &Page<S>,
        index: usize,
        fault: MessageFault,
        outcome: &mut PageOutcome,
    ) where
        S: EventSet,
        B: MessageConsumerState + TransactionControlOn<C> + ?Sized,
    {
        let message = &page.messages[index];
        let error = fault.error(message);
        let noted = bus.in_transaction(|bus| {
            let attempts = leases.note_final(bus, message, &error)?;
            let committed = leases.was_committed(bus)?;
            if committed {
                leases.store(bus, page, index, LeaseDisposition::Extend)?;
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
            // Without the note, the message must not be settled: the messages before it may have
            // been rolled back.
            Err(second) => outcome.failure = Some(second.followed_by(error)),
        }
    }
}
