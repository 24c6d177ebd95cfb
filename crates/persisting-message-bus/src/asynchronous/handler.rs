//! Async handlers, with the compile errors for everything else.
//!
//! Each trait names an async closure with its arguments. The compiler infers the types of the
//! closure from the trait, and the trait's error names the fix.

use crate::consume::errors::HandlerError;
use crate::consume::handler::{PageHandler, PageOutcome};
use crate::consume::leases::{LeaseDisposition, Leases};
use crate::consume::page::Page;
use crate::error::Error;
use crate::message::typed::Message;
use crate::store::lease::Lease;

/// An async closure or function that handles one message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async handler of a message",
    label = "not `async |message: &Message<_>| -> Result<(), HandlerError>`",
    note = "write `async |message| {{ ..; Ok(()) }}`; `?` converts other errors to `persisting_message_bus::handler::HandlerError`, which is `Box<dyn std::error::Error + Send + Sync>`",
    note = "for a handler without `async`, use `persisting_message_bus::MessageConsumer`; an `asynchronous::Runner` runs it, too"
)]
pub trait HandleMessage<S>: AsyncFnMut(&Message<S>) -> Result<(), HandlerError> {}

#[diagnostic::do_not_recommend]
impl<S, F> HandleMessage<S> for F where F: AsyncFnMut(&Message<S>) -> Result<(), HandlerError> {}

/// An async closure or function that handles one message through an async connection.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async handler of a connection and a message",
    label = "not `async |connection: &mut _, message: &Message<_>| -> Result<(), HandlerError>`",
    note = "write `async |connection: &mut AsyncPgConnection, message| {{ ..; Ok(()) }}`; `?` converts other errors to `persisting_message_bus::handler::HandlerError`, which is `Box<dyn std::error::Error + Send + Sync>`",
    note = "for a handler without `async`, use `persisting_message_bus::MessageConsumer`; an `asynchronous::Runner` runs it, too"
)]
pub trait HandleMessageOn<S, C: ?Sized>:
    AsyncFnMut(&mut C, &Message<S>) -> Result<(), HandlerError>
{
}

#[diagnostic::do_not_recommend]
impl<S, C: ?Sized, F> HandleMessageOn<S, C> for F where
    F: AsyncFnMut(&mut C, &Message<S>) -> Result<(), HandlerError>
{
}

/// An async closure or function that handles a page of messages through an async connection.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async handler of a connection and a page",
    label = "not `async |connection: &mut _, page: &[Message<_>]| -> Result<(), HandlerError>`",
    note = "write `async |connection: &mut AsyncPgConnection, page| {{ ..; Ok(()) }}`; `?` converts other errors to `persisting_message_bus::handler::HandlerError`, which is `Box<dyn std::error::Error + Send + Sync>`",
    note = "for a handler without `async`, use `persisting_message_bus::MessageConsumer`; an `asynchronous::Runner` runs it, too"
)]
pub trait HandlePageOn<S, C: ?Sized>:
    AsyncFnMut(&mut C, &[Message<S>]) -> Result<(), HandlerError>
{
}

#[diagnostic::do_not_recommend]
impl<S, C: ?Sized, F> HandlePageOn<S, C> for F where
    F: AsyncFnMut(&mut C, &[Message<S>]) -> Result<(), HandlerError>
{
}

/// The kind of handler `K`, whose handler and hook are async. The consumer's thread waits for their
/// futures.
#[derive(Debug)]
pub struct Awaiting<K>(pub(super) K);

impl<S, B, K> PageHandler<S, B> for Awaiting<K>
where
    B: ?Sized,
    K: PageHandler<S, B>,
{
    const NEEDS_HEARTBEAT: bool = K::NEEDS_HEARTBEAT;

    fn has_hook(&self) -> bool {
        self.0.has_hook()
    }

    fn handle_page(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        page: &mut Page<S>,
        then: LeaseDisposition,
    ) -> PageOutcome {
        self.0.handle_page(bus, leases, page, then)
    }

    fn handle_redriven(
        &mut self,
        bus: &mut B,
        leases: &Leases,
        lease: &Lease,
        message: &Message<S>,
    ) -> Result<bool, Error> {
        self.0.handle_redriven(bus, leases, lease, message)
    }
}
