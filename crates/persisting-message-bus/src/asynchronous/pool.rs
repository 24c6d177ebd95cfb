//! Runners on a deadpool.

use deadpool::managed::Manager;
use diesel_async_0_9::AsyncConnection;
use diesel_async_0_9::pooled_connection::deadpool::{Object, Pool};
use diesel_async_0_9::pooled_connection::{AsyncDieselConnectionManager, PoolError};

use crate::asynchronous::blocking::{AsyncBus, Blocking};
use crate::asynchronous::runner::Runner;

impl<C> Runner<Blocking<Object<C>>>
where
    C: AsyncConnection + 'static,
    AsyncDieselConnectionManager<C>: Manager<Type = C, Error = PoolError>,
    Object<C>: AsyncBus,
{
    /// Creates a runner without consumers, whose connections come from the pool.
    ///
    /// As `Runner::new(async move || pool.get().await)`, but the runner knows the size of the pool.
    /// If the pool is too small for the consumers, [`start`](Self::start) starts none of them, and
    /// each ends with an error that names the number of connections that they need. The consumers
    /// keep their connections, so the pool must also have those that the rest of the program needs
    /// at the same time.
    #[must_use]
    pub fn on_pool(pool: Pool<C>) -> Self {
        let size = pool.status().max_size;
        Self::new(async move || pool.get().await).pool_size(size)
    }
}
