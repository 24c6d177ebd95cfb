//! Runners in async programs.

use std::error::Error as StdError;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::asynchronous::blocking::{AsyncBus, Blocking};
use crate::asynchronous::running::Running;
use crate::consume::consumer::MessageConsumer;
use crate::consume::handler::PageHandler;
use crate::consume::retry_policy::RetryPolicy;
use crate::consume::segments::parallel::ParallelConsumer;
use crate::message::topic::EventSet;
use crate::run::Runner as Threads;
use crate::run::handle::StopTimedOut;
use crate::run::thread::ConsumerExit;
use crate::signals::Shutdown;
use crate::sql::executor::dedicated::{Dedicated, DedicatedConnection, Driven, open_dedicated};
use crate::store::consumer_state::MessageConsumerState;
use crate::store::source::MessageSource;

/// Runs consumers of an async program, each on a thread and a connection of its own.
///
/// As [`Runner`](crate::Runner), but connections are opened, used and awaited in the tokio runtime
/// in whose context the runner is created. The runtime must have timers, as that of `#[tokio::main]`
/// has, and must run as long as the consumers: await [`Running::stop_within`] before it ends. If it
/// ends first, the consumers end too, and their current messages are handled again.
///
#[cfg_attr(feature = "diesel-async-0_9-postgres", doc = "```no_run")]
#[cfg_attr(not(feature = "diesel-async-0_9-postgres"), doc = "```ignore")]
/// # extern crate diesel_async_0_9 as diesel_async;
/// use std::time::Duration;
///
/// use diesel_async::{AsyncConnection, AsyncPgConnection};
/// use persisting_message_bus::asynchronous::{MessageConsumer, Runner};
/// use persisting_message_bus::{Message, Topic};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct OrderPlaced {}
/// # #[derive(Topic)]
/// # #[topic(name = "orders")]
/// # enum Orders { OrderPlaced(OrderPlaced) }
///
/// #[tokio::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let mailer = MessageConsumer::<Orders>::external("mailer", async |_: &Message<_>| Ok(()));
///     let connect = async || AsyncPgConnection::establish("postgres://localhost/shop").await;
///     let running = Runner::new(connect).consumer(mailer).start();
///     // ... serve requests ...
///     running.stop_within(Duration::from_secs(10)).await?;
///     Ok(())
/// }
/// ```
pub struct Runner<B> {
    threads: Threads<B>,
    runtime: Option<Handle>,
}

const NO_RUNTIME: &str = "the asynchronous::Runner was created outside of a tokio runtime: create it \
    in an async function, or after Handle::enter";

impl<C: AsyncBus> Runner<Blocking<C>> {
    /// Creates a runner without consumers. `connect` opens an async connection for each consumer, or
    /// takes one from a pool. It is called again when the connection is lost or of no use.
    ///
    /// The consumers keep their connections. A pool needs three connections for each external
    /// consumer, and one for each other consumer; a
    /// [`ParallelConsumer`](crate::ParallelConsumer) one for each thread, one to look for work, and two
    /// more if it is external: see [`pool_size`](Self::pool_size).
    ///
    /// SQLite's async connections hand each statement to another thread. A consumer is faster on a
    /// plain `SqliteConnection`: see [`on_sync_connections`](Self::on_sync_connections).
    pub fn new<E>(connect: impl AsyncFn() -> Result<C, E> + Send + Sync + 'static) -> Self
    where
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let runtime = Handle::try_current().ok();
        let opening = runtime.clone();
        let connect = move || match &opening {
            Some(runtime) => {
                let _entered = runtime.enter();
                let connected = runtime.block_on(connect()).map_err(Into::into);
                connected.map(Blocking::from)
            }
            None => Err(NO_RUNTIME.into()),
        };
        Self::with(connect, runtime)
    }
}

impl<C: Driven> Runner<Dedicated<C>>
where
    DedicatedConnection<C>: AsyncBus,
{
    /// Creates a runner without consumers, each of which drives its connection on its own thread. This is
    /// the fast way on PostgreSQL and MariaDB: a statement waits for no other thread of the program.
    ///
    /// As with [`new`](Self::new), `connect` opens a connection for each consumer. It is awaited outside
    /// of the runtime, and should only open the connection: see [`open_dedicated`].
    ///
    /// Handlers are polled in the context of the runtime, as always. A transactional handler receives
    /// the connection itself, and cannot use `tokio::task::block_in_place`.
    #[cfg_attr(feature = "diesel-async-0_9-postgres", doc = "```no_run")]
    #[cfg_attr(not(feature = "diesel-async-0_9-postgres"), doc = "```ignore")]
    /// # extern crate diesel_async_0_9 as diesel_async;
    /// use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
    /// use persisting_message_bus::asynchronous::{MessageConsumer, Runner};
    /// use persisting_message_bus::{Message, Topic};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct OrderPlaced {}
    /// # #[derive(Topic)]
    /// # #[topic(name = "orders")]
    /// # enum Orders { OrderPlaced(OrderPlaced) }
    ///
    /// # async fn start() {
    /// let count = async |connection: &mut AsyncPgConnection, _: &Message<_>| {
    ///     connection.batch_execute("UPDATE figures SET orders = orders + 1").await?;
    ///     Ok(())
    /// };
    /// let counter = MessageConsumer::<Orders>::transactional("counter", count);
    /// let connect = async || AsyncPgConnection::establish("postgres://localhost/shop").await;
    /// let running = Runner::on_dedicated_connections(connect).consumer(counter).start();
    /// # }
    /// ```
    pub fn on_dedicated_connections<E>(
        connect: impl AsyncFn() -> Result<C, E> + Send + Sync + 'static,
    ) -> Self
    where
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        Self::with(move || open_dedicated(&connect), Handle::try_current().ok())
    }
}

impl<B> Runner<B>
where
    B: MessageSource + MessageConsumerState + Send + 'static,
{
    /// Creates a runner without consumers, whose connections are not async. Their handlers can be:
    /// an external handler needs no connection. This is the fast way on SQLite.
    ///
    /// As with [`Runner::new`](crate::Runner::new), `connect` opens a connection for each consumer,
    /// on a thread of its own, which it can block.
    pub fn on_sync_connections<E>(
        connect: impl Fn() -> Result<B, E> + Send + Sync + 'static,
    ) -> Self
    where
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        Self::with(connect, Handle::try_current().ok())
    }

    fn with<E>(
        connect: impl Fn() -> Result<B, E> + Send + Sync + 'static,
        runtime: Option<Handle>,
    ) -> Self
    where
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let threads = Threads::new(connect);
        let threads = match runtime {
            Some(_) => threads,
            None => threads.refuse(NO_RUNTIME),
        };
        Self { threads, runtime }
    }

    /// Sets the number of connections that the pool of `connect` has. Default: not known.
    ///
    /// If that is too small for the consumers, [`start`](Self::start) starts none of them, and each
    /// ends with an error that names the number of connections that they need.
    #[must_use]
    pub fn pool_size(mut self, size: usize) -> Self {
        self.threads = self.threads.pool_size(size);
        self
    }

    /// Sets the longest interval between polls of an idle consumer. Default: 2 seconds. Zero polls
    /// all the time. See [`Runner::idle_interval`](crate::Runner::idle_interval).
    #[must_use]
    pub fn idle_interval(mut self, interval: Duration) -> Self {
        self.threads = self.threads.idle_interval(interval);
        self
    }

    /// Sets the retry policy of consumers that do not set their own, and of connecting. Default:
    /// [`RetryPolicy::default`]. See [`Runner::retry`](crate::Runner::retry).
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.threads = self.threads.retry(retry);
        self
    }

    /// Sets how long a consumer waits for a connection. Default: 40 seconds. Zero means that no
    /// connection is fast enough. See [`Runner::connect_timeout`](crate::Runner::connect_timeout).
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.threads = self.threads.connect_timeout(timeout);
        self
    }

    /// Adds a consumer, with async handlers or without.
    #[must_use]
    pub fn consumer<S, H>(mut self, consumer: MessageConsumer<S, H>) -> Self
    where
        S: EventSet + 'static,
        H: PageHandler<S, B> + Send + 'static,
    {
        self.threads = self.threads.consumer(consumer);
        self
    }

    /// Adds a consumer that handles messages on many threads at once, with async handlers or without.
    /// See [`Runner::parallel`](crate::Runner::parallel).
    #[must_use]
    pub fn parallel<S, H>(mut self, consumer: ParallelConsumer<S, H>) -> Self
    where
        S: EventSet + 'static,
        H: PageHandler<S, B> + Send + 'static,
    {
        self.threads = self.threads.parallel(consumer);
        self
    }

    /// Returns the handle that ends the consumers. It can be passed on before they start.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        self.threads.shutdown()
    }

    /// Starts the threads.
    ///
    /// Consumers that cannot work are not started, and end at once with the error: those of the same
    /// name, and all of them if they need more connections than the pool has, or if the runner was
    /// created outside of a runtime.
    #[must_use = "the consumers end when this is dropped"]
    pub fn start(self) -> Running {
        Running::start(self.threads, self.runtime)
    }

    /// Starts the threads, and waits for `signal` or for a consumer that stops by itself. Then asks
    /// the consumers to end, and waits for them. Returns what ended them. Without consumers, it waits
    /// for `signal`.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use persisting_message_bus::asynchronous::{MessageConsumer, Runner};
    /// use persisting_message_bus::memory::InMemoryMessageBus;
    /// use persisting_message_bus::{Message, Topic};
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct OrderPlaced {}
    /// # #[derive(Topic)]
    /// # #[topic(name = "orders")]
    /// # enum Orders { OrderPlaced(OrderPlaced) }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let bus = InMemoryMessageBus::default();
    /// let mailer = MessageConsumer::<Orders>::external("mailer", async |_: &Message<_>| Ok(()));
    /// let signal = tokio::time::sleep(Duration::from_millis(10)); // such as tokio::signal::ctrl_c()
    /// let exits = Runner::on_sync_connections(move || Ok::<_, std::io::Error>(bus.clone()))
    ///     .consumer(mailer)
    ///     .run_until(signal, Duration::from_secs(10))
    ///     .await?;
    /// assert!(exits[0].error.is_none());
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Running::stop_within`].
    ///
    /// # Panics
    ///
    /// As [`Running::stop_within`].
    pub async fn run_until<F: Future>(
        self,
        signal: F,
        deadline: Duration,
    ) -> Result<Vec<ConsumerExit>, StopTimedOut> {
        self.start().run_until(signal, deadline).await
    }
}
