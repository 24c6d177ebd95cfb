//! Threads that wait for a future of the application.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use futures_util::future::{Either, select};
use tokio::runtime::{EnterGuard, Handle};
use tokio::sync::watch;

use crate::consume::errors::HandlerError;
use crate::error::Error;
use crate::sql::executor::on_this_thread::OnThisThread;

thread_local! {
    /// The runtime of the runner whose consumer this thread runs.
    static RUNTIME: RefCell<Option<WatchedRuntime>> = const { RefCell::new(None) };

    /// The way to wait for the dedicated connection that a handler has now.
    static CONNECTION: RefCell<Option<OnThisThread>> = const { RefCell::new(None) };
}

/// Calls a handler that has a dedicated connection.
pub(super) fn with_connection_of<T>(thread: &OnThisThread, handle: impl FnOnce() -> T) -> T {
    let _others = Restored(CONNECTION.replace(Some(thread.clone())));
    handle()
}

/// What `CONNECTION` was before, which a panicking handler restores too.
struct Restored(Option<OnThisThread>);

impl Drop for Restored {
    fn drop(&mut self) {
        CONNECTION.set(self.0.take());
    }
}

/// A runtime whose end is noticed.
#[derive(Debug, Clone)]
pub(super) struct WatchedRuntime {
    pub(super) handle: Handle,
    /// Becomes `true` at the end.
    pub(super) ended: watch::Receiver<bool>,
}

impl WatchedRuntime {
    /// Makes this the runtime of the thread, until the thread ends.
    pub(super) fn occupy_thread(&self) -> EnterGuard<'_> {
        RUNTIME.set(Some(self.clone()));
        self.handle.enter()
    }

    pub(super) fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Waits for the future or the end of the runtime, after which nothing may wake the future.
    fn wait<F: Future>(&mut self, future: F) -> Result<F::Output, Error> {
        let Self { handle, ended } = self;
        let outcome = wait_in(handle, async {
            match select(pin!(future), pin!(ended.wait_for(|ended| *ended))).await {
                Either::Left((output, _)) => Some(output),
                Either::Right(_) => None,
            }
        });
        outcome.ok_or_else(|| Error::disconnected("waiting for an async handler", ENDED))
    }
}

/// The reason why consumers end with their runtime.
pub(super) const ENDED: &str =
    "the tokio runtime has ended: await Running::stop_within before the runtime ends";

const NO_RUNTIME: &str = "there is no tokio runtime on this thread: run the consumer on \
    asynchronous::Runner, or enter a runtime (tokio::runtime::Handle::enter)";

/// Blocks the thread until a handler's future ends. The runtime is that of the runner, or the one
/// that the thread has entered.
pub(super) fn wait_for(
    handling: impl Future<Output = Result<(), HandlerError>>,
) -> Result<(), HandlerError> {
    let Ok(runtime) = Handle::try_current() else {
        return Err(NO_RUNTIME.into());
    };
    let mut handling = pin!(handling);
    // Many handlers end without waiting, and need no one to wake them.
    let mut unheard = Context::from_waker(Waker::noop());
    if let Poll::Ready(handled) = handling.as_mut().poll(&mut unheard) {
        return handled;
    }
    match RUNTIME.with_borrow(Clone::clone) {
        Some(mut runtime) => runtime.wait(handling)?,
        None => wait_in(&runtime, handling),
    }
}

/// Waits for a future in the context of a runtime. If the thread drives a connection that the future
/// has, it drives that meanwhile.
fn wait_in<F: Future>(runtime: &Handle, future: F) -> F::Output {
    let Some(thread) = CONNECTION.with_borrow(Clone::clone) else {
        return runtime.block_on(future);
    };
    // Dropped outside of the connection's runtime, as it is polled outside of it.
    let mut future = pin!(future);
    thread.wait(poll_fn(|context| {
        let _entered = runtime.enter();
        future.as_mut().poll(context)
    }))
}
