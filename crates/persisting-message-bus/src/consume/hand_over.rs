use crate::consume::attempt::{Failure, judge};
use crate::consume::handler::call_handler;
use crate::consume::handler_result::HandlerResult;
use crate::consume::leases::Leases;
use crate::message::topic::EventSet;
use crate::message::typed::Message;
use crate::observe;
use crate::panics::catch_panic;
use crate::publish::correlation::CauseGuard;
use crate::store::transactions::Guarded;
use crate::store::transactions::TransactionControlOn;

/// Hands messages to a transactional handler one at a time.
#[derive(Debug)]
pub struct PerMessage<F>(pub(crate) F);

/// Hands messages to a transactional handler one page at a time.
#[derive(Debug)]
pub struct PerPage<F>(pub(crate) F);

/// A way to hand a range of messages to a closure.
#[doc(hidden)]
pub trait HandleMessages<S, C: ?Sized> {
    /// Handles messages and returns the number of handled ones: all, unless the consumer must stop.
    /// It hands out messages only while the transaction is still the one that was begun.
    fn handle<B>(
        &mut self,
        transaction: &mut Guarded<'_, B>,
        messages: &[Message<S>],
        leases: &Leases,
    ) -> Result<usize, Failure>
    where
        B: TransactionControlOn<C> + ?Sized;
}

impl<S, C, F, R> HandleMessages<S, C> for PerMessage<F>
where
    S: EventSet,
    C: ?Sized,
    F: FnMut(&mut C, &Message<S>) -> R,
    R: HandlerResult,
{
    fn handle<B>(
        &mut self,
        transaction: &mut Guarded<'_, B>,
        messages: &[Message<S>],
        leases: &Leases,
    ) -> Result<usize, Failure>
    where
        B: TransactionControlOn<C> + ?Sized,
    {
        let caused = CauseGuard::by_messages();
        for (offset, message) in messages.iter().enumerate() {
            if leases.is_stopping() {
                return Ok(offset);
            }
            let handled = call_handler(leases, &caused, message, || {
                let handle = |connection: &mut C| (self.0)(connection, message).into_result();
                transaction.bus().lend(handle)
            });
            judge(transaction, Some(offset), handled)?;
        }
        Ok(messages.len())
    }
}

impl<S, C, F, R> HandleMessages<S, C> for PerPage<F>
where
    S: EventSet,
    C: ?Sized,
    F: FnMut(&mut C, &[Message<S>]) -> R,
    R: HandlerResult,
{
    fn handle<B>(
        &mut self,
        transaction: &mut Guarded<'_, B>,
        messages: &[Message<S>],
        leases: &Leases,
    ) -> Result<usize, Failure>
    where
        B: TransactionControlOn<C> + ?Sized,
    {
        if let Some(last) = messages.last() {
            let alone = (messages.len() == 1).then_some(0);
            let _handling = observe::handling(&leases.handler_times, last);
            let handle = |connection: &mut C| (self.0)(connection, messages).into_result();
            let handled = catch_panic(|| transaction.bus().lend(handle));
            judge(transaction, alone, handled)?;
        }
        Ok(messages.len())
    }
}
