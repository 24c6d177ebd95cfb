use super::attempt::{Failure, judge};
use super::handler::{HandlerError, guarded, handle};
use super::leases::Leases;
use crate::correlation::Caused;
use crate::transactions::Guarded;
use crate::{EventSet, Message, TransactionsOn, observe};

/// Hands messages to a transactional handler one by one.
#[derive(Debug)]
pub struct Each<F>(pub(super) F);

/// Hands messages to a transactional handler a page at a time.
#[derive(Debug)]
pub struct Pages<F>(pub(super) F);

/// A way to hand a range of messages to a closure.
#[doc(hidden)]
pub trait HandleMessages<S, C: ?Sized> {
    /// Returns how many it has handled: all, if nobody stops it. No message is handed out in a transaction
    /// that is not the one that was begun.
    fn handle<B>(
        &mut self,
        transaction: &mut Guarded<'_, B>,
        messages: &[Message<S>],
        leases: &Leases,
    ) -> Result<usize, Failure>
    where
        B: TransactionsOn<C> + ?Sized;
}

impl<S, C, F> HandleMessages<S, C> for Each<F>
where
    S: EventSet,
    C: ?Sized,
    F: FnMut(&mut C, &Message<S>) -> Result<(), HandlerError>,
{
    fn handle<B>(
        &mut self,
        transaction: &mut Guarded<'_, B>,
        messages: &[Message<S>],
        leases: &Leases,
    ) -> Result<usize, Failure>
    where
        B: TransactionsOn<C> + ?Sized,
    {
        let caused = Caused::by_messages();
        for (offset, message) in messages.iter().enumerate() {
            if leases.is_stopping() {
                return Ok(offset);
            }
            let handled = handle(leases, &caused, message, || {
                (self.0)(transaction.bus().connection(), message)
            });
            judge(transaction, Some(offset), handled)?;
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
    fn handle<B>(
        &mut self,
        transaction: &mut Guarded<'_, B>,
        messages: &[Message<S>],
        leases: &Leases,
    ) -> Result<usize, Failure>
    where
        B: TransactionsOn<C> + ?Sized,
    {
        if let Some(last) = messages.last() {
            let alone = (messages.len() == 1).then_some(0);
            let _handling = observe::handling(leases, last);
            let handled = guarded(|| (self.0)(transaction.bus().connection(), messages));
            judge(transaction, alone, handled)?;
        }
        Ok(messages.len())
    }
}
