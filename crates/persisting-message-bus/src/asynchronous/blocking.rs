//! Async connections on threads that can block.

use diesel_async_0_9::AsyncConnection;
use diesel_async_0_9::async_connection_wrapper::AsyncConnectionWrapper;

use crate::asynchronous::waiting::with_connection_of;
use crate::sql::backend::StoreBackend;
use crate::sql::executor::dedicated::{Dedicated, DedicatedConnection};
use crate::sql::executor::on_this_thread::OnThisThread;
use crate::store::transactions::TransactionControlOn;

/// An async connection as a bus, for threads that can block. Each statement blocks the thread while
/// the runtime works.
///
/// `Blocking::from(connection)` needs the context of a tokio runtime, which is that of the
/// connection. `into_inner` returns the connection. A call of a method in a task of the runtime
/// panics, because it would block the runtime.
///
/// A transactional handler on this bus receives the async connection itself.
pub type Blocking<C> = AsyncConnectionWrapper<C, OnThisThread>;

/// An async connection on which consumers can work: one of diesel-async, plain or from a pool.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async connection on which consumers can work",
    label = "not an async connection",
    note = "open a connection of diesel-async: from a pool, `async move || pool.get().await`",
    note = "for a sync connection of Diesel, use `asynchronous::Runner::on_sync_connections`",
    note = "turn on the feature `diesel-async-0_9-postgres`, `-mysql` or `-sqlite` of `persisting-message-bus`"
)]
pub trait AsyncBus: AsyncConnection<Backend: StoreBackend<Blocking<Self>>> + 'static {}

#[diagnostic::do_not_recommend]
impl<C> AsyncBus for C where C: AsyncConnection<Backend: StoreBackend<Blocking<C>>> + 'static {}

#[diagnostic::do_not_recommend]
impl<C: AsyncBus> TransactionControlOn<C> for Blocking<C> {
    fn connection(&mut self) -> &mut C {
        self
    }
}

/// The handler receives the connection itself, and its future is awaited by the thread that drives it.
#[diagnostic::do_not_recommend]
impl<C> TransactionControlOn<C> for Dedicated<C>
where
    DedicatedConnection<C>: AsyncBus,
{
    fn connection(&mut self) -> &mut C {
        self
    }

    fn lend<T>(&mut self, code: impl FnOnce(&mut C) -> T) -> T {
        let thread = self.thread().clone();
        with_connection_of(&thread, || code(self))
    }
}
