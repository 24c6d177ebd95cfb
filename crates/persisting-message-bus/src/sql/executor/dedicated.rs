//! Async connections that their thread drives itself.

use std::error::Error as StdError;
use std::ops::{Deref, DerefMut};

use diesel_async_0_9::AsyncConnection;
use diesel_async_0_9::async_connection_wrapper::AsyncConnectionWrapper;

use crate::sql::executor::on_this_thread::OnThisThread;

/// An async connection of diesel-async that a thread can drive: a plain one, to PostgreSQL or MySQL. The
/// connections of a pool need the pool's tasks, which would stand still.
#[diagnostic::on_unimplemented(
    message = "a thread cannot drive `{Self}` itself",
    label = "not a plain connection to PostgreSQL, MySQL or MariaDB",
    note = "for connections from a pool, use `asynchronous::Runner::on_pool`, or `new` with `async move || pool.get().await`",
    note = "for SQLite, use `asynchronous::Runner::on_sync_connections` with a `SqliteConnection`",
    note = "turn on the feature `diesel-async-0_9-postgres` or `-mysql` of `persisting-message-bus`"
)]
pub trait Driven: AsyncConnection + 'static {}

#[cfg(feature = "diesel-async-0_9-postgres")]
impl Driven for diesel_async_0_9::AsyncPgConnection {}

#[cfg(feature = "diesel-async-0_9-mysql")]
impl Driven for diesel_async_0_9::AsyncMysqlConnection {}

/// An async connection that works only while its thread waits for it. No public name leads to it: a
/// handler that awaited its statements without that thread would wait for ever.
#[derive(Debug)]
pub struct DedicatedConnection<C> {
    connection: C,
    thread: OnThisThread,
}

/// An async connection as a bus for a thread that can block, which drives the connection itself: it sends
/// the statements and receives the rows, without a runtime's threads between it and the server. So it has
/// each answer sooner, by the time in which one thread wakes another one.
///
/// [`open_dedicated`] opens it. A transactional handler on this bus receives the connection `C`.
pub type Dedicated<C> = AsyncConnectionWrapper<DedicatedConnection<C>, OnThisThread>;

/// Opens a connection as a bus for threads that can block, and that drive it themselves.
///
/// The future of `connect` is awaited outside of every other runtime. It should only open the
/// connection. Other tasks that it starts, such as those of an HTTP client, run only while a thread
/// waits for this connection: start them in your own runtime with `Handle::spawn`.
///
#[cfg_attr(feature = "diesel-async-0_9-postgres", doc = "```no_run")]
#[cfg_attr(not(feature = "diesel-async-0_9-postgres"), doc = "```ignore")]
/// # extern crate diesel_async_0_9 as diesel_async;
/// use diesel_async::{AsyncConnection, AsyncPgConnection};
/// use persisting_message_bus::asynchronous::{MessageConsumer, open_dedicated};
/// use persisting_message_bus::{Message, Topic};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct OrderPlaced {}
/// # #[derive(Topic)]
/// # #[topic(name = "orders")]
/// # enum Orders { OrderPlaced(OrderPlaced) }
///
/// let url = "postgres://localhost/shop";
/// let mut bus = open_dedicated(async || AsyncPgConnection::establish(url).await)?;
/// // The handler's runtime.
/// let runtime = tokio::runtime::Runtime::new()?;
/// let _entered = runtime.enter();
/// let mut mailer = MessageConsumer::<Orders>::external("mailer", async |_: &Message<_>| Ok(()));
/// mailer.handle_new_messages(&mut bus)?;
/// # Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
/// ```
///
/// # Errors
///
/// - The error of `connect`.
/// - If the system has no resources for what drives the connection, such as file descriptors.
///
/// # Panics
///
/// In a task of a runtime, because it would block the runtime.
pub fn open_dedicated<C: Driven, E>(
    connect: impl AsyncFnOnce() -> Result<C, E>,
) -> Result<Dedicated<C>, Box<dyn StdError + Send + Sync>>
where
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    let thread = OnThisThread::dedicated()?;
    let connection = thread.wait(connect()).map_err(Into::into)?;
    let bus = thread.clone();
    Ok(bus.wrap(DedicatedConnection { connection, thread }))
}

impl<C> DedicatedConnection<C> {
    /// Returns the way to wait for the connection.
    pub(crate) fn thread(&self) -> &OnThisThread {
        &self.thread
    }
}

impl<C> Deref for DedicatedConnection<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.connection
    }
}

impl<C> DerefMut for DedicatedConnection<C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.connection
    }
}
