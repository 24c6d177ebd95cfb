//! Publishing outside of the caller's transactions: who dispatches at the same time shares a commit.

mod dispatcher;
mod queue;
mod ticket;
mod writer;

use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub use self::dispatcher::CoalescingDispatcher;

use self::queue::{Group, Queue, refused};
use self::ticket::Turn;
use self::writer::{Write, Writer};
use crate::{Duplicates, Error, MessageRepository, RawMessage, Transactions};

/// With so many messages there is less to gain from others than they take to come.
const WORTH_A_COMMIT: usize = 64;

/// Commits together what is dispatched at the same time, on connections of its own: many threads that
/// publish single messages wait for the disk once, and not each on its own.
///
/// It is for messages that are not part of a transaction of the caller; those go through a
/// [`MessageDispatcher`](crate::MessageDispatcher). Clones share queue and connections: have one for each
/// database, make a [`CoalescingDispatcher`] for each topic when its limits are set, and share them between
/// threads.
///
/// There is no thread behind it, and no time that is waited for others: the first caller lets other threads
/// run for a moment, and commits. Who comes meanwhile queues up, and the first of these commits what all of
/// them have.
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

#[derive(Debug, Clone, Copy)]
struct Limits {
    connections: usize,
    in_a_commit: usize,
    in_the_queue: usize,
    longest_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1,
            in_a_commit: 5_000,
            in_the_queue: 10_000,
            longest_wait: Duration::from_secs(10),
        }
    }
}

struct Shared {
    queue: Queue,
    connect: Box<dyn Fn() -> Box<dyn Write> + Send + Sync>,
    /// Those that nobody commits with.
    writers: Mutex<Vec<Box<dyn Write>>>,
}

impl Coalescer {
    /// `connect` opens a connection, or takes one out of a pool, when there is something to commit; and anew
    /// after a failure of the database, or when the last one was not used for 30 seconds. It should give up
    /// after some time (`connect_timeout`): those whose messages are to be committed wait for it. A pool has
    /// to have as many connections to spare as there are [`connections`](Self::connections).
    pub fn new<R, E>(connect: impl Fn() -> Result<R, E> + Send + Sync + 'static) -> Self
    where
        R: MessageRepository + Transactions + Send + 'static,
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

    /// Sets how many connections it commits on at once; 1 without this, and for zero. SQLite has one writer
    /// at a time. On servers a few may be faster where commits take long, as with a replica that has to
    /// confirm them: while one waits for its commit, another one inserts. Where they do not, one is the
    /// fastest, because more come together for each commit.
    #[must_use]
    pub fn connections(mut self, most: usize) -> Self {
        self.limits.connections = most.max(1);
        self
    }

    /// Sets how many messages are committed together at most; 5,000 without this. A batch that is larger is
    /// committed alone. Zero is one.
    #[must_use]
    pub fn messages_in_a_commit(mut self, most: usize) -> Self {
        self.limits.in_a_commit = most;
        self
    }

    /// Sets how many messages may wait before who comes has to wait for room; 10,000 without this. Zero lets
    /// one caller wait at a time.
    #[must_use]
    pub fn messages_in_the_queue(mut self, most: usize) -> Self {
        self.limits.in_the_queue = most;
        self
    }

    /// Sets how long a caller waits at most until its message is on its way to the database; 10 seconds
    /// without this. Zero is for who does not want to wait for others at all. How long the database takes
    /// then, its own settings say (`connect_timeout`, `statement_timeout`, `busy_timeout`).
    #[must_use]
    pub fn longest_wait(mut self, longest: Duration) -> Self {
        self.limits.longest_wait = longest;
        self
    }

    /// How many messages wait now, those not counted that are being committed.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.queue.messages()
    }

    /// Whether messages are being committed now.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.shared.queue.is_committing()
    }

    /// Accepts no further messages, and returns when those that wait are committed, or have failed. Says
    /// whether that was so within the time. Gives back the connections that nobody commits with any more.
    pub fn close(&self, within: Duration) -> bool {
        let is_empty = self.shared.queue.close(Instant::now().checked_add(within));
        self.writers().clear();
        is_empty
    }

    /// Persists the messages in a commit with others; returns how many were new.
    fn persist(&self, messages: Vec<RawMessage>, duplicates: Duplicates) -> Result<usize, Error> {
        if messages.is_empty() {
            return Ok(0);
        }
        let queue = &self.shared.queue;
        let deadline = Instant::now().checked_add(self.limits.longest_wait);
        let ticket = queue.enter(messages, duplicates, &self.limits, deadline)?;
        let turn = match ticket.wait_until(deadline) {
            Some(turn) => turn,
            None => queue.leave(&ticket)?,
        };
        match turn {
            Turn::Lead(group) => self.commit(group),
            Turn::Done(result) => result,
        }
    }

    /// Commits a group, and returns what became of the first one in it, who is the caller.
    fn commit(&self, mut group: Group) -> Result<usize, Error> {
        if group.messages.len() + self.waiting() < WORTH_A_COMMIT {
            // Those that the last commit has woken come along, if they get to run now.
            thread::yield_now();
        }
        self.shared.queue.begin(&mut group, self.limits.in_a_commit);
        let mut writer = self
            .writers()
            .pop()
            .unwrap_or_else(|| (self.shared.connect)());
        let results = writer.write(&group);
        self.writers().push(writer);
        // The next ones need not wait until these are awake.
        self.shared.queue.pass_on();
        let mut results = group.entries.into_iter().zip(results);
        let own = results.next();
        for (entry, result) in results {
            entry.ticket.give(Turn::Done(result));
        }
        own.map_or_else(
            || Err(refused("it was not in the queue", false)),
            |(_, own)| own,
        )
    }

    /// Nobody panics with half of a change.
    fn writers(&self) -> MutexGuard<'_, Vec<Box<dyn Write>>> {
        let writers = self.shared.writers.lock();
        writers.unwrap_or_else(PoisonError::into_inner)
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
