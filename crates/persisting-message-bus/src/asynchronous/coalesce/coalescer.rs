use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::asynchronous::coalesce::connection::{Connect, Connection};
use crate::asynchronous::coalesce::queue::{Answer, Queue, Writing};
use crate::asynchronous::coalesce::writer::write_all;
use crate::asynchronous::tables::AsyncTables;
use crate::error::class::Class;
use crate::error::kind::BoxError;
use crate::message::raw::RawMessage;
use crate::publish::coalesce::limits::Limits;
use crate::publish::coalesce::queue::refused;
use crate::publish::coalesce::writer::failed;
use crate::store::repository::OnDuplicate;

/// Commits messages that tasks dispatch at the same time together, on connections of its own (group
/// commit): [`Coalescer`](crate::Coalescer) for the connections of diesel-async.
///
/// Use it for messages that are not part of a transaction of the caller. Clones share the queue and the
/// connections. Create one coalescer for each database and set its limits. Then create a
/// [`CoalescingDispatcher`](crate::asynchronous::CoalescingDispatcher) for each topic.
///
/// There is no batching delay. The first dispatch starts a task on its runtime, which commits.
/// Dispatches that arrive during the commit queue up, and the task commits them together. It ends when
/// none waits. A program with several runtimes needs a coalescer for each of them, because a task of
/// one runtime does not go on while that runtime is blocked.
#[derive(Clone)]
pub struct Coalescer {
    limits: Limits,
    shared: Arc<Shared>,
}

struct Shared {
    queue: Arc<Queue>,
    connect: Box<Connect>,
    /// The places in the queue, made at the first dispatch with the limits of that moment.
    places: OnceLock<Places>,
}

struct Places {
    semaphore: Arc<Semaphore>,
    number: u32,
}

impl Coalescer {
    /// Creates a coalescer. `connect` opens a connection or takes one out of a pool.
    ///
    /// The coalescer calls it when there are messages to commit and no usable connection. A connection
    /// is replaced after a failure of the database, or if it was idle for 30 seconds. A call of
    /// `connect` that takes longer than 40 seconds counts as failed. A pool must have as many spare
    /// connections as [`max_connections`](Self::max_connections).
    pub fn new<C, E, F>(connect: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        C: AsyncTables + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: Future<Output = Result<C, E>> + Send + 'static,
    {
        let connect: Box<Connect> = Box::new(move || {
            let connected = connect();
            Box::pin(async move {
                let connection = connected.await.map_err(Into::<BoxError>::into)?;
                Ok(Box::new(connection) as Box<dyn Connection>)
            })
        });
        Self {
            limits: Limits::default(),
            shared: Arc::new(Shared {
                queue: Arc::default(),
                connect,
                places: OnceLock::new(),
            }),
        }
    }

    /// Sets how many connections commit at once. Default: 1. Zero means 1. When more are faster is said
    /// at [`Coalescer::max_connections`](crate::Coalescer::max_connections).
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

    /// Sets the queue capacity in messages. Callers wait while the queue is full. Default: 10,000. Zero
    /// lets one message wait at a time. A larger batch takes the whole queue. Set it before the first
    /// dispatch: after that, it has no effect.
    #[must_use]
    pub fn max_queue_size(mut self, most: usize) -> Self {
        self.limits.max_queue_size = most;
        self
    }

    /// Sets how long a caller waits at most until its messages are on their way to the database.
    /// Default: 10 seconds. Zero means that a call fails at once if it cannot commit immediately.
    ///
    /// Time spent in the database is limited by the database's own settings.
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
    pub async fn close(&self, within: Duration) -> bool {
        timeout(within, self.shared.queue.close()).await.is_ok()
    }

    /// Persists the messages in a group commit; returns how many were new.
    pub(super) async fn persist(
        &self,
        messages: Vec<RawMessage>,
        duplicates: OnDuplicate,
    ) -> Answer {
        if messages.is_empty() {
            return Ok(0);
        }
        let places = self.places();
        let wanted = u32::try_from(messages.len()).unwrap_or(u32::MAX);
        let wanted = wanted.min(places.number);
        let begun = tokio::time::Instant::now();
        let place = Arc::clone(&places.semaphore).acquire_many_owned(wanted);
        let place = timeout(self.limits.queue_timeout, place).await;
        let Ok(Ok(place)) = place else {
            return Err(refused("the queue is full", Class::Transient));
        };
        let (queue, writers) = (&self.shared.queue, self.limits.max_connections);
        let (mut ticket, writing) = queue.enter(messages, duplicates, place, writers)?;
        if let Some(writing) = writing {
            self.start_writer(writing);
        }
        let left = self.limits.queue_timeout.saturating_sub(begun.elapsed());
        let answer = match timeout(left, &mut ticket.answer).await {
            Ok(answer) => answer,
            Err(_) if ticket.leave() => {
                return Err(refused("the wait exceeded queue_timeout", Class::Transient));
            }
            // The messages are on their way.
            Err(_) => (&mut ticket.answer).await,
        };
        answer.unwrap_or_else(|_| {
            let ended = "the task that commits was ended, as with its runtime; it is unknown whether \
                the messages were written";
            Err(failed(ended.into()))
        })
    }

    fn start_writer(&self, writing: Writing) {
        let (shared, most) = (Arc::clone(&self.shared), self.limits.max_batch_size);
        tokio::spawn(async move { write_all(writing, &*shared.connect, most).await });
    }

    fn places(&self) -> &Places {
        self.shared.places.get_or_init(|| {
            let most = self.limits.max_queue_size;
            let number = u32::try_from(most).unwrap_or(u32::MAX).max(1);
            Places {
                semaphore: Arc::new(Semaphore::new(number as usize)),
                number,
            }
        })
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
