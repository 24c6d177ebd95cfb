use diesel_async_0_9::async_connection_wrapper::BlockOn;
use tokio::runtime::Handle;

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
