//! Runners on a pool of r2d2.

use diesel::r2d2::{ManageConnection, Pool, PooledConnection};

use crate::run::Runner;
use crate::store::consumer_state::MessageConsumerState;
use crate::store::source::MessageSource;

impl<M> Runner<PooledConnection<M>>
where
    M: ManageConnection,
    PooledConnection<M>: MessageSource + MessageConsumerState + Send + 'static,
{
    /// Creates a runner without consumers, whose connections come from the pool.
    ///
    /// As `Runner::new(move || pool.get())`, but the runner knows the size of the pool. If the pool
    /// is too small for the consumers, [`start`](Self::start) starts none of them, and each ends
    /// with an error that names the number of connections that they need. The consumers keep their
    /// connections, so the pool must also have those that the rest of the program needs at the same
    /// time.
    #[must_use]
    pub fn on_pool(pool: Pool<M>) -> Self {
        let size = usize::try_from(pool.max_size()).unwrap_or(usize::MAX);
        Self::new(move || pool.get()).pool_size(size)
    }
}
