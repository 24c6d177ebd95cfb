use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::error::class::Class;
use crate::locks::lock;
use crate::message::raw::RawMessage;
use crate::publish::coalesce::limits::Limits;
use crate::publish::coalesce::queue::{Group, Queue, Turn, refused};
use crate::publish::coalesce::writer::{Write, Writer};
use crate::store::repository::{MessageRepository, OnDuplicate};
use crate::store::transactions::TransactionControl;

/// From this number of messages on, waiting for more costs more time than it saves.
const WORTH_A_COMMIT: usize = 64;

/// Commits messages that are dispatched at the same time together, on connections of its own (group
/// commit). Many threads that publish single messages then share one wait for the disk.
///
/// Use it for messages that are not part of a transaction of the caller. For messages that are, use
/// a [`MessageDispatcher`](crate::MessageDispatcher).
///
/// Clones share the queue and the connections. Create one coalescer for each database and set its
/// limits. Then create a [`CoalescingDispatcher`](crate::CoalescingDispatcher) for each topic, and share them between threads.
///
/// There is no background thread and no batching delay. The first caller yields once and commits.
/// Callers that arrive during the commit queue up; the first of them commits for all.
///
/// ```
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::{Coalescer, MessageDispatcher, Topic};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct OrderPlaced { order: u32 }
/// # #[derive(Topic)]
/// # #[topic(name = "orders")]
/// # enum Orders { OrderPlaced(OrderPlaced) }
///
/// let bus = InMemoryMessageBus::default();
/// let connection = bus.clone();
/// let coalescer = Coalescer::new(move || Ok::<_, std::io::Error>(connection.clone()));
/// let orders = MessageDispatcher::<Orders>::new().coalescing(&coalescer);
/// std::thread::scope(|scope| {
///     for order in 0..8 {
///         let orders = &orders;
///         scope.spawn(move || orders.dispatch(&OrderPlaced { order }));
///     }
/// });
/// assert_eq!(bus.messages.messages().len(), 8);
/// # Ok::<(), persisting_message_bus::Error>(())
/// ```
#[derive(Clone)]
pub struct Coalescer {
    limits: Limits,
    shared: Arc<Shared>,
}

struct Shared {
    queue: Queue,
    connect: Box<dyn Fn() -> Box<dyn Write> + Send + Sync>,
    /// The writers that are idle.
    writers: Mutex<Vec<Box<dyn Write>>>,
}

impl Coalescer {
    /// Creates a coalescer. `connect` opens a connection or takes one out of a pool.
    ///
    /// The coalescer calls it when there are messages to commit and no usable connection. A
    /// connection is replaced after a failure of the database, or if it was idle for 30 seconds.
    /// A call of `connect` that takes longer than 40 seconds counts as failed. It should time out
    /// earlier (`connect_timeout`), because the callers whose messages are to be committed wait for it. A pool must have as many spare connections as
    /// [`max_connections`](Self::max_connections).
    pub fn new<R, E>(connect: impl Fn() -> Result<R, E> + Send + Sync + 'static) -> Self
    where
        R: MessageRepository + TransactionControl + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    {
        let connect = Arc::new(connect);
        Self {
            limits: Limits::default(),
            shared: Arc::new(Shared {
                queue: Queue::default(),
                connect: Box::new(move || Box::new(Writer::new(Arc::clone(&connect)))),
                writers: Mutex::default(),
            }),
        }
    }

    /// Sets how many connections commit at once. Default: 1. Zero means 1.
    ///
    /// SQLite has one writer at a time. On servers, a few connections can be faster if commits take
    /// long, for example because a replica must confirm them: one connection inserts while another
    /// waits for its commit. If commits are short, one connection is the fastest, because more
    /// callers share each commit.
    #[must_use]
    pub fn max_connections(mut self, most: usize) -> Self {
        self.limits.max_connections = most.max(1);
        self
    }

    /// Sets how many messages are committed together at most. Default: 5,000. A larger batch is
    /// committed alone. Zero means 1.
    #[must_use]
    pub fn max_batch_size(mut self, most: usize) -> Self {
        self.limits.max_batch_size = most;
        self
    }

    /// Sets the queue capacity in messages. Callers block while the queue is full. Default: 10,000.
    /// Zero lets one caller wait at a time.
    #[must_use]
    pub fn max_queue_size(mut self, most: usize) -> Self {
        self.limits.max_queue_size = most;
        self
    }

    /// Sets how long a caller waits at most until its messages are on their way to the database.
    /// Default: 10 seconds. Zero means that a call fails at once if it cannot commit immediately.
    ///
    /// Time spent in the database is limited by the database's own settings (`connect_timeout`,
    /// `statement_timeout`, `busy_timeout`).
    #[must_use]
    pub fn queue_timeout(mut self, longest: Duration) -> Self {
        self.limits.queue_timeout = longest;
        self
    }

    /// Returns the number of messages that wait. Messages that are being committed do not count.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.queue.messages()
    }

    /// Returns `true` while messages are being committed.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.shared.queue.is_committing()
    }

    /// Stops accepting messages, and waits until the queued messages are committed or have failed.
    /// Returns `true` if that happened within the time. Closes the idle connections.
    pub fn close(&self, within: Duration) -> bool {
        let is_empty = self.shared.queue.close(Instant::now().checked_add(within));
        self.writers().clear();
        is_empty
    }

    /// Persists the messages in a group commit; returns how many were new.
    pub(super) fn persist(
        &self,
        messages: Vec<RawMessage>,
        duplicates: OnDuplicate,
    ) -> Result<usize, Error> {
        if messages.is_empty() {
            return Ok(0);
        }
        let queue = &self.shared.queue;
        let deadline = Instant::now().checked_add(self.limits.queue_timeout);
        let mailbox = queue.enter(messages, duplicates, &self.limits, deadline)?;
        let turn = match mailbox.wait_until(deadline) {
            Some(turn) => turn,
            None => queue.leave(&mailbox)?,
        };
        match turn {
            Turn::Lead(group) => self.commit(group),
            Turn::Committed(result) => result,
        }
    }

    /// Commits a group, and returns the result of its first entry, which belongs to the caller.
    fn commit(&self, mut group: Group) -> Result<usize, Error> {
        if group.messages.len() + self.waiting() < WORTH_A_COMMIT {
            // Callers that the last commit has woken can join if they run now.
            thread::yield_now();
        }
        self.shared
            .queue
            .begin(&mut group, self.limits.max_batch_size);
        let mut writer = self
            .writers()
            .pop()
            .unwrap_or_else(|| (self.shared.connect)());
        let results = writer.write(&group);
        self.writers().push(writer);
        // The next leader need not wait until the callers of this group are awake.
        self.shared.queue.pass_on();
        let mut results = group.entries.into_iter().zip(results);
        let own = results.next();
        for (entry, result) in results {
            entry.mailbox.give(Turn::Committed(result));
        }
        own.map_or_else(
            || Err(refused("the caller was not in the queue", Class::Permanent)),
            |(_, own)| own,
        )
    }

    fn writers(&self) -> MutexGuard<'_, Vec<Box<dyn Write>>> {
        lock(&self.shared.writers)
    }
}

impl fmt::Debug for Coalescer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Coalescer")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
