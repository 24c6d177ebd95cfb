//! Consumers that run until they are stopped, each on a thread of its own.

pub(crate) mod added;
pub(crate) mod arrival;
pub(crate) mod connecting;
pub(crate) mod handle;
pub(crate) mod heartbeat;
pub(crate) mod holder;
pub(crate) mod refusing;
pub(crate) mod segments;
pub(crate) mod step;
pub(crate) mod surroundings;
pub(crate) mod thread;

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use crate::consume::consumer::MessageConsumer;
use crate::consume::handler::PageHandler;
use crate::consume::retry_policy::RetryPolicy;
use crate::consume::segments::parallel::ParallelConsumer;
use crate::message::topic::EventSet;
use crate::panics::{catch, catch_panic};
use crate::run::added::Added;
use crate::run::arrival::{Arrival, Arrivals};
use crate::run::connecting::Connect;
use crate::run::handle::{RunHandle, Threads};
use crate::run::refusing::Refused;
use crate::run::step::Pace;
use crate::run::surroundings::Inside;
use crate::run::surroundings::Surroundings;
use crate::run::thread::ConsumerExit;
use crate::signals::{Shutdown, Signals};
use crate::store::consumer_state::MessageConsumerState;
use crate::store::source::MessageSource;

/// The default of [`Runner::connect_timeout`].
const CONNECT_TIMEOUT: Duration = Duration::from_secs(40);

/// Runs consumers, each on a thread and a connection of its own.
///
/// While there are messages, a consumer handles one page after another. Otherwise it polls for new
/// ones at growing intervals. It continues after an error, and with a new connection after the
/// database was unreachable.
///
/// ```
/// use std::time::Duration;
///
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, Runner, Topic};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderPlaced {
///     order: u32,
/// }
///
/// #[derive(Topic)]
/// #[topic(name = "orders")]
/// enum Orders {
///     OrderPlaced(OrderPlaced),
/// }
///
/// let bus = InMemoryMessageBus::default();
/// let (sender, handled) = std::sync::mpsc::channel();
/// let mailer = MessageConsumer::<Orders>::external("mailer", move |message: &Message<Orders>| {
///     let Orders::OrderPlaced(placed) = message.payload();
///     Ok(sender.send(placed.order)?)
/// });
///
/// let connection = bus.clone();
/// let running = Runner::new(move || Ok::<_, std::io::Error>(connection.clone()))
///     .consumer(mailer)
///     .start();
///
/// MessageDispatcher::<Orders>::new().dispatch(&mut bus.clone(), &OrderPlaced { order: 7 })?;
/// running.waker().wake();
/// assert_eq!(handled.recv()?, 7);
/// let ended = running.stop_within(Duration::from_secs(10)).expect("it ends in time");
/// assert!(ended.iter().all(|consumer| consumer.error.is_none()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Runner<B> {
    connect: Arc<Connect<B>>,
    signals: Arc<Signals>,
    pace: Pace,
    /// The number of connections of its pool, if that is known.
    pool_size: Option<usize>,
    /// The reason why no consumer can work, if that is known.
    problem: Option<&'static str>,
    consumers: Vec<Added>,
}

impl<B> Runner<B>
where
    B: MessageSource + MessageConsumerState + Send + 'static,
{
    /// Creates a runner without consumers. `connect` opens a connection for each consumer, or takes
    /// one from a pool. It is called again when the connection is lost or of no use, on a thread of
    /// its own, because it can take long ([`connect_timeout`](Self::connect_timeout)).
    ///
    /// A pool of r2d2 closes a connection that a consumer has abandoned
    /// ([`MessageSource::abandon_source`]).
    ///
    /// The consumers keep their connections. A pool needs three connections for each external
    /// consumer, and one for each other consumer. The second connection renews the lease while the
    /// handler is slow. The third one does so if the second does not answer. A [`ParallelConsumer`]
    /// needs one connection for each of its threads, one to look for work, and two more if it is
    /// external.
    pub fn new<E>(connect: impl Fn() -> Result<B, E> + Send + Sync + 'static) -> Self
    where
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        Self {
            connect: Arc::new(move || catch_panic(|| connect().map_err(Into::into))),
            signals: Arc::default(),
            pace: Pace {
                idle_interval: Duration::from_secs(2),
                retry: RetryPolicy::default(),
                connect_timeout: CONNECT_TIMEOUT,
            },
            pool_size: None,
            problem: None,
            consumers: Vec::new(),
        }
    }

    /// Sets the number of connections that there can be at the same time.
    #[cfg(all(
        any(feature = "r2d2", feature = "diesel-async-0_9"),
        any(
            feature = "sqlite",
            feature = "postgres_backend",
            feature = "mysql_backend"
        )
    ))]
    pub(crate) fn pool_size(mut self, size: usize) -> Self {
        self.pool_size = Some(size);
        self
    }

    /// Refuses to start any consumer.
    #[cfg(all(
        feature = "diesel-async-0_9",
        any(
            feature = "sqlite",
            feature = "postgres_backend",
            feature = "mysql_backend"
        )
    ))]
    pub(crate) fn refuse(mut self, problem: &'static str) -> Self {
        self.problem = Some(problem);
        self
    }

    /// Sets the longest interval between polls of an idle consumer. Default: 2 seconds. Zero polls
    /// all the time.
    ///
    /// After activity, the interval is 1 ms. It then grows by half each time, up to this value. So
    /// a message waits for at most about half of the idle time before it.
    ///
    /// If the bus has a [change token](MessageSource::change_token), an idle consumer checks the
    /// token three times per idle interval. It polls when the token has changed, and at the latest
    /// after four idle intervals.
    ///
    /// A standby also checks at this interval whether the lease of another holder has expired.
    #[must_use]
    pub fn idle_interval(mut self, interval: Duration) -> Self {
        self.pace.idle_interval = interval;
        self
    }

    /// Sets the retry policy of consumers that do not set their own with
    /// [`MessageConsumer::retry`]. The policy's backoff also applies before a consumer reconnects.
    /// Default: [`RetryPolicy::default`].
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.pace.retry = retry;
        self
    }

    /// Sets how long a consumer waits for a connection. Then the attempt counts as failed, and the
    /// consumer connects again, after its backoff. Default: 40 seconds, which is longer than the 30
    /// seconds of a pool of r2d2, whose error says more. Zero means that no connection is fast
    /// enough.
    ///
    /// The call of `connect` cannot be interrupted. At most 16 calls hang at a time for each
    /// consumer, so limit them as well (libpq: `connect_timeout` in the address). A stop does not
    /// wait for them.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.pace.connect_timeout = timeout;
        self
    }

    /// Adds a consumer.
    #[must_use]
    pub fn consumer<S, H>(mut self, consumer: MessageConsumer<S, H>) -> Self
    where
        S: EventSet + 'static,
        H: PageHandler<S, B> + Send + 'static,
    {
        let (name, reads) = (consumer.name().to_owned(), consumer.reads());
        let (connect, signals) = (Arc::clone(&self.connect), Arc::clone(&self.signals));
        let consumer = consumer.stopped_by(Arc::clone(&signals));
        let arrival = Arc::<Arrival>::default();
        let arriving = Arc::clone(&arrival);
        let run =
            move |with: Surroundings| thread::run(consumer, &connect, &signals, &arriving, &with);
        self.consumers.push(Added {
            name,
            arrival,
            reads,
            connections: if H::NEEDS_HEARTBEAT { 3 } else { 1 },
            run: Box::new(run),
        });
        self
    }

    /// Adds a consumer that handles messages on many threads at once. Each thread has a connection of
    /// its own, and the consumer has one more. The leases of a slow external handler are renewed on two
    /// more.
    #[must_use]
    pub fn parallel<S, H>(mut self, consumer: ParallelConsumer<S, H>) -> Self
    where
        S: EventSet + 'static,
        H: PageHandler<S, B> + Send + 'static,
    {
        let one = (consumer.make)();
        let (name, reads) = (one.name().to_owned(), one.reads());
        let (connect, signals) = (Arc::clone(&self.connect), Arc::clone(&self.signals));
        let arrival = Arc::<Arrival>::default();
        let arriving = Arc::clone(&arrival);
        let renewing = if H::NEEDS_HEARTBEAT { 2 } else { 0 };
        let connections = consumer.threads + 1 + renewing;
        let run =
            move |with: Surroundings| segments::run(&consumer, &connect, &signals, &arriving, with);
        self.consumers.push(Added {
            name,
            arrival,
            reads,
            connections,
            run: Box::new(run),
        });
        self
    }

    /// Returns the handle that ends the consumers. It can be passed on before they start.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        Shutdown(Arc::clone(&self.signals))
    }

    /// Starts the threads.
    ///
    /// Consumers that cannot work are not started, and end at once with the error: those of the same
    /// name, and all of them if they need more connections than the pool has.
    #[must_use = "the consumers end when this is dropped"]
    pub fn start(self) -> RunHandle {
        let signals = Arc::clone(&self.signals);
        let arrivals = self.arrivals();
        let threads = self.start_threads(Inside::default(), |run| run());
        RunHandle {
            signals,
            arrivals,
            threads,
        }
    }

    /// Returns how far each consumer has come.
    pub(crate) fn arrivals(&self) -> Arrivals {
        let consumers = self.consumers.iter();
        let arrival = |it: &Added| (it.name.clone(), Arc::clone(&it.arrival));
        consumers.map(arrival).collect()
    }

    /// Starts the threads. Each calls `around`, which calls the body of the thread. The body does not
    /// panic. `inside` surrounds the threads that a consumer starts.
    pub(crate) fn start_threads<T: Send + 'static>(
        self,
        inside: Inside,
        around: impl Fn(Body) -> T + Clone + Send + 'static,
    ) -> Threads<T> {
        let refused = Refused::of(&self.consumers, self.pool_size, self.problem);
        let with = Surroundings {
            pace: self.pace,
            needed: refusing::connections(&self.consumers),
            inside,
        };
        let start = |added: Added| {
            let Added {
                name, arrival, run, ..
            } = added;
            let refused = refused.reason(&name);
            let refused = refused.map(|reason| ConsumerExit::refused(&name, reason));
            let (around, of_panic, with) = (around.clone(), name.clone(), with.clone());
            let run = move || catch(move || refused.unwrap_or_else(|| run(with)));
            let body = move || {
                let exit = run().unwrap_or_else(|text| ConsumerExit::by_panic(of_panic, text));
                arrival.ended(exit.error.as_ref());
                exit
            };
            (name, std::thread::spawn(move || around(Box::new(body))))
        };
        self.consumers.into_iter().map(start).collect()
    }
}

/// The body of a consumer's thread.
pub(crate) type Body = Box<dyn FnOnce() -> ConsumerExit>;
