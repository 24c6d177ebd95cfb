//! Threads that wait for an async connection, and the runtime that drives it meanwhile.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;

use diesel_async_0_9::async_connection_wrapper::BlockOn;
use tokio::runtime::{Builder, Handle, Runtime};

thread_local! {
    /// What the next wrapper of a connection waits with, instead of the runtime of the context. The
    /// wrapper asks a function without arguments.
    static NEXT: RefCell<Option<OnThisThread>> = const { RefCell::new(None) };
}

/// Blocks the thread until a future ends. The runtime in whose context it was created drives the
/// connection meanwhile, or the thread itself if the connection is dedicated to it.
#[derive(Debug, Clone)]
pub struct OnThisThread(Driver);

#[derive(Debug, Clone)]
enum Driver {
    /// A runtime of the application.
    Shared(Handle),
    /// Nothing else runs on it.
    Dedicated(Arc<DedicatedRuntime>),
}

impl OnThisThread {
    /// Creates one whose connection works only while a thread waits with it.
    pub(super) fn dedicated() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let runtime = DedicatedRuntime(Some(runtime));
        Ok(Self(Driver::Dedicated(Arc::new(runtime))))
    }

    /// Creates one with the runtime of the thread's context, if there is one.
    #[cfg(feature = "diesel-async-0_9-postgres")]
    pub(super) fn of_context() -> Option<Self> {
        Some(Self(Driver::Shared(Handle::try_current().ok()?)))
    }

    /// Returns the runtime, unless the thread drives the connection.
    #[cfg(feature = "diesel-async-0_9-postgres")]
    pub(super) fn shared(&self) -> Option<&Handle> {
        match &self.0 {
            Driver::Shared(handle) => Some(handle),
            Driver::Dedicated(_) => None,
        }
    }

    /// Waits for a future.
    pub(crate) fn wait<F: Future>(&self, future: F) -> F::Output {
        match &self.0 {
            Driver::Shared(runtime) => runtime.block_on(future),
            Driver::Dedicated(runtime) => runtime.block_on(future),
        }
    }

    /// Wraps a connection so that it is waited for in this way.
    pub(super) fn wrap<C, W: From<C>>(&self, connection: C) -> W {
        NEXT.set(Some(self.clone()));
        let wrapped = W::from(connection);
        NEXT.take();
        wrapped
    }
}

impl BlockOn for OnThisThread {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.wait(future)
    }

    fn get_runtime() -> Self {
        let of_context = || Self(Driver::Shared(Handle::current()));
        NEXT.take().unwrap_or_else(of_context)
    }
}

/// A runtime that can be dropped everywhere.
#[derive(Debug)]
struct DedicatedRuntime(Option<Runtime>);

impl DedicatedRuntime {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        match &self.0 {
            Some(runtime) => runtime.block_on(future),
            None => unreachable!("only the drop takes the runtime"),
        }
    }
}

impl Drop for DedicatedRuntime {
    /// A runtime that is dropped in a task of another one panics, because it waits for blocking calls.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
