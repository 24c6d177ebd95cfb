//! Consumers that are left running, a thread each.

mod heartbeat;
mod holder;
mod signals;
mod step;
mod thread;

use std::error::Error as StdError;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(crate) use self::signals::Signals;
pub use self::signals::{Nudge, Shutdown};
pub use self::thread::Ended;

use self::heartbeat::Connect;
use self::signals::holds_until;
use self::step::Pace;
use crate::consumer::guarded;
use crate::{EventSet, HandlePages, MessageConsumer, MessageConsumerState, MessageSource, Retry};

/// The body of a consumer's thread.
type Run = Box<dyn FnOnce(Pace) -> Ended + Send>;

/// Starts consumers, each on a thread and a connection of its own, and keeps them going: while there
/// are messages one page after the other, otherwise looking for new ones at growing intervals; again
/// after an error, and with a new connection after the database was away.
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
/// running.nudge().nudge();
/// assert_eq!(handled.recv()?, 7);
/// let ended = running.stop_within(Duration::from_secs(10)).expect("it ends in time");
/// assert!(ended.iter().all(|consumer| consumer.error.is_none()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Runner<B> {
    connect: Arc<Connect<B>>,
    signals: Arc<Signals>,
    pace: Pace,
    consumers: Vec<(String, Run)>,
}

impl<B> Runner<B>
where
    B: MessageSource + MessageConsumerState + 'static,
{
    /// A runner without consumers. `connect` makes each consumer's connection, and makes it again
    /// when it is lost: it opens one, or takes one out of a pool. The consumers keep theirs: a pool needs
    /// three connections for each external consumer, and one for each of the others. On the second one, the
    /// lease is renewed while the handler is slow, and on the third one where the second does not answer.
    pub fn new<E>(connect: impl Fn() -> Result<B, E> + Send + Sync + 'static) -> Self
    where
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        Self {
            connect: Arc::new(move || guarded(|| connect().map_err(Into::into))),
            signals: Arc::default(),
            pace: Pace {
                idle_interval: Duration::from_secs(2),
                retry: Retry::default(),
            },
            consumers: Vec::new(),
        }
    }

    /// Sets how long a consumer waits at most before it looks for new messages again; 2 seconds
    /// without this. Zero looks all the time. After activity it looks after 1 millisecond, then after half as long again
    /// each time, up to that: a message waits for at most about half as long as there was none.
    ///
    /// Where the bus tells [changes](MessageSource::changes), an idle consumer asks for them three times
    /// in that time, and looks when there are some; at the latest after four intervals.
    ///
    /// It is also how often somebody looks whether the lease of another holder has expired.
    #[must_use]
    pub fn idle_interval(mut self, interval: Duration) -> Self {
        self.pace.idle_interval = interval;
        self
    }

    /// Sets how failures are repeated of consumers that do not say it themselves
    /// ([`MessageConsumer::retry`]), and how long to wait before reconnecting.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.pace.retry = retry;
        self
    }

    /// Adds a consumer.
    #[must_use]
    pub fn consumer<S, H>(mut self, consumer: MessageConsumer<S, H>) -> Self
    where
        S: EventSet + 'static,
        H: HandlePages<S, B> + Send + 'static,
    {
        let name = consumer.name().to_owned();
        let (connect, signals) = (Arc::clone(&self.connect), Arc::clone(&self.signals));
        let consumer = consumer.stopped_by(Arc::clone(&signals));
        let run = move |pace| thread::run(consumer, &connect, &signals, &pace);
        self.consumers.push((name, Box::new(run)));
        self
    }

    /// The handle that ends the consumers, to be given away before they start.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        Shutdown(Arc::clone(&self.signals))
    }

    /// Starts the threads.
    #[must_use = "the consumers end when this is dropped"]
    pub fn start(self) -> Running {
        let pace = self.pace;
        let start = |(name, run): (String, Run)| {
            let thread = std::thread::spawn(move || run(pace));
            (name, thread)
        };
        let threads = self.consumers.into_iter().map(start).collect();
        Running {
            signals: self.signals,
            threads,
        }
    }
}

/// Consumers at work. When it is dropped, they are asked to end, and not waited for.
#[derive(Debug)]
pub struct Running {
    signals: Arc<Signals>,
    threads: Vec<(String, JoinHandle<Ended>)>,
}

impl Running {
    /// The handle that ends the consumers.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        Shutdown(Arc::clone(&self.signals))
    }

    /// The handle that makes them look for new messages.
    #[must_use]
    pub fn nudge(&self) -> Nudge {
        Nudge(Arc::clone(&self.signals))
    }

    /// Waits until all consumers have ended: because of a shutdown, or each of an error.
    #[must_use]
    pub fn join(mut self) -> Vec<Ended> {
        self.collect()
    }

    /// Asks the consumers to end, and waits for them.
    ///
    /// # Errors
    ///
    /// When some have not ended in time: a handler is still at work. They end behind it, if the
    /// process lives so long; otherwise their messages are handled again, as after a crash.
    pub fn stop_within(mut self, deadline: Duration) -> Result<Vec<Ended>, StillRunning> {
        self.signals.stop();
        // The clock's end is as good as never.
        let deadline = Instant::now().checked_add(deadline);
        let have_ended = || self.threads.iter().all(|(_, thread)| thread.is_finished());
        if holds_until(deadline, have_ended) {
            return Ok(self.collect());
        }
        let running = self
            .threads
            .iter()
            .filter(|(_, thread)| !thread.is_finished());
        Err(StillRunning {
            consumers: running.map(|(name, _)| name.clone()).collect(),
        })
    }

    fn collect(&mut self) -> Vec<Ended> {
        let threads = std::mem::take(&mut self.threads);
        let ended = threads.into_iter().map(|(name, thread)| {
            thread
                .join()
                .unwrap_or_else(|panic| Ended::by_panic(name, &*panic))
        });
        ended.collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signals.stop();
    }
}

/// Consumers that did not end in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("these consumers are still handling a message: {}", consumers.join(", "))]
pub struct StillRunning {
    /// Their names.
    pub consumers: Vec<String>,
}
