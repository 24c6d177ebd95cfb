//! Consumers that run, as the program that has started them sees them.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::panics::panic_message;
use crate::run::arrival::{self, Arrivals, NotCaughtUp};
use crate::run::thread::ConsumerExit;
use crate::signals::{Shutdown, Signals, Waker, holds_until};

/// Threads that run consumers, each with the consumer's name and the result of its thread.
pub(crate) type Threads<T> = Vec<(String, JoinHandle<T>)>;

/// Running consumers. Dropping this asks them to end, and does not wait for them.
///
/// ```
/// use std::time::Duration;
///
/// use persisting_message_bus::memory::InMemoryMessageBus;
/// use persisting_message_bus::{Message, MessageConsumer, Runner, Topic};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct OrderPlaced {}
///
/// #[derive(Topic)]
/// #[topic(name = "orders")]
/// enum Orders { OrderPlaced(OrderPlaced) }
///
/// let bus = InMemoryMessageBus::default();
/// let mailer = MessageConsumer::<Orders>::external("mailer", |_: &Message<Orders>| Ok(()));
/// let connect = move || Ok::<_, std::io::Error>(bus.clone());
/// let running = Runner::new(connect).consumer(mailer).start();
///
/// // When the program must end, for example after SIGTERM:
/// let exits = running.stop_within(Duration::from_secs(10))?;
/// assert_eq!(exits[0].consumer, "mailer");
/// assert!(exits[0].error.is_none());
/// # Ok::<(), persisting_message_bus::operate::StopTimedOut>(())
/// ```
#[derive(Debug)]
pub struct RunHandle {
    pub(super) signals: Arc<Signals>,
    pub(super) arrivals: Arrivals,
    pub(super) threads: Threads<ConsumerExit>,
}

impl RunHandle {
    /// Returns the handle that ends the consumers.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        Shutdown(Arc::clone(&self.signals))
    }

    /// Returns the handle that makes the consumers poll for new messages at once.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.signals))
    }

    /// Waits until each consumer has handled all messages that were committed before the call, for
    /// tests.
    ///
    /// # Errors
    ///
    /// When some consumers have not handled them in time: one is paused, fails, has ended, is still
    /// at work, or waits for a publisher whose transaction is in flight. The error has the reason of
    /// each.
    pub fn caught_up_within(&self, deadline: Duration) -> Result<(), NotCaughtUp> {
        arrival::ask(&self.arrivals);
        let deadline = Instant::now().checked_add(deadline);
        let have_arrived = || {
            self.signals.wake();
            arrival::is_settled(&self.arrivals)
        };
        holds_until(deadline, have_arrived);
        NotCaughtUp::check(&self.arrivals)
    }

    /// Waits until all consumers have ended, because of a shutdown or because of an error each.
    #[must_use]
    pub fn join(mut self) -> Vec<ConsumerExit> {
        self.collect()
    }

    /// Asks the consumers to end, and waits for them.
    ///
    /// # Errors
    ///
    /// When some consumers do not end in time because a handler is still at work, or a statement has
    /// no answer. They end after that, if the process runs that long. Otherwise their messages are
    /// handled again, as after a crash.
    pub fn stop_within(mut self, deadline: Duration) -> Result<Vec<ConsumerExit>, StopTimedOut> {
        self.signals.stop();
        // A deadline after the end of the clock's range is as good as none.
        let deadline = Instant::now().checked_add(deadline);
        let have_ended = || self.threads.iter().all(|(_, thread)| thread.is_finished());
        if holds_until(deadline, have_ended) {
            return Ok(self.collect());
        }
        let running = self
            .threads
            .iter()
            .filter(|(_, thread)| !thread.is_finished());
        Err(StopTimedOut {
            consumers: running.map(|(name, _)| name.clone()).collect(),
        })
    }

    fn collect(&mut self) -> Vec<ConsumerExit> {
        let threads = std::mem::take(&mut self.threads);
        let ended = threads.into_iter().map(|(name, thread)| {
            thread
                .join()
                .unwrap_or_else(|panic| ConsumerExit::by_panic(name, panic_message(&*panic)))
        });
        ended.collect()
    }
}

impl Drop for RunHandle {
    fn drop(&mut self) {
        self.signals.stop();
    }
}

/// Consumers that did not end in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "stopping timed out for the consumers {}: each is still handling a message, or its database \
     does not answer; wait longer, or end the process, after which the next holder handles that \
     message again",
    consumers.join(", ")
)]
pub struct StopTimedOut {
    /// The names of the consumers.
    pub consumers: Vec<String>,
}
