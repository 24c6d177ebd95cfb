//! Threads that wait for a future of the application.

use std::cell::RefCell;

use futures_util::future::{Either, select};
use std::pin::pin;
use tokio::runtime::{EnterGuard, Handle};
use tokio::sync::watch;

use crate::consume::errors::HandlerError;
use crate::error::Error;

thread_local! {
    /// The runtime of the runner whose consumer this thread runs.
    static RUNTIME: RefCell<Option<WatchedRuntime>> = const { RefCell::new(None) };
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
        let outcome = handle.block_on(async {
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
    match RUNTIME.with_borrow(Clone::clone) {
        Some(mut runtime) => runtime.wait(handling)?,
        None => match Handle::try_current() {
            Ok(runtime) => runtime.block_on(handling),
            Err(_) => Err(NO_RUNTIME.into()),
        },
    }
}
