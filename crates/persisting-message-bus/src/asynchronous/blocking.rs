//! Async connections on threads that can block.

use diesel_async_0_9::AsyncConnection;
use diesel_async_0_9::async_connection_wrapper::{AsyncConnectionWrapper, BlockOn};
use tokio::runtime::Handle;

use crate::sql::backend::StoreBackend;
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

/// Blocks the thread until a future ends. The runtime in whose context it was created drives the
/// connection meanwhile.
#[derive(Debug, Clone)]
pub struct OnThisThread {
    runtime: Handle,
}

impl BlockOn for OnThisThread {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    fn get_runtime() -> Self {
        Self {
            runtime: Handle::current(),
        }
    }
}

#[diagnostic::do_not_recommend]
impl<C> TransactionControlOn<C> for Blocking<C>
where
    C: AsyncConnection<Backend: StoreBackend<Self>> + 'static,
{
    fn connection(&mut self) -> &mut C {
        self
    }
}
