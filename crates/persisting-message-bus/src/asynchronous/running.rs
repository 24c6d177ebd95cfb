//! Running consumers, as a future.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::select;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::asynchronous::waiting::{ENDED, WatchedRuntime};
use crate::error::Error;
use crate::run::arrival::{self, Arrivals, NotCaughtUp};
use crate::run::handle::StopTimedOut;
use crate::run::surroundings::Inside;
use crate::run::thread::ConsumerExit;
use crate::run::{Body, Runner};
use crate::signals::Signals;
use crate::signals::{Shutdown, Waker};
use crate::store::consumer_state::MessageConsumerState;
use crate::store::source::MessageSource;

/// How often consumers are woken while a caller waits for them.
const PAUSE: Duration = Duration::from_millis(5);

/// Running consumers. Dropping this asks them to end, and does not wait for them.
///
/// It is a future. Without a shutdown, it ends when a consumer has stopped by itself. After one, it
/// ends when all consumers have ended. Its output are the consumers that have ended; awaiting it
/// again, through `&mut running`, waits for others.
#[derive(Debug)]
pub struct Running {
    signals: Arc<Signals>,
    arrivals: Arrivals,
    exits: UnboundedReceiver<ConsumerExit>,
    /// Those that have ended and were not returned.
    ended: Vec<ConsumerExit>,
}

impl Running {
    pub(super) fn start<B>(runner: Runner<B>, runtime: Option<Handle>) -> Self
    where
        B: MessageSource + MessageConsumerState + Send + 'static,
    {
        let signals = runner.shutdown().0;
        let (exited, exits) = mpsc::unbounded_channel();
        let watched = runtime.map(|runtime| watched(runtime, &signals));
        let of_runner = watched.as_ref().map(|(runtime, _)| runtime.clone());
        let inside = of_runner.map(|runtime| {
            Inside::of(move |body| {
                let _entered = runtime.occupy_thread();
                body();
            })
        });
        let inside = inside.unwrap_or_default();
        let around = move |body: Body| {
            let exit = match &watched {
                Some((runtime, _alive)) => run_in(runtime, body),
                // The runner has refused the consumer.
                None => body(),
            };
            // The program may have dropped the handle.
            let _unheard = exited.send(exit);
        };
        let arrivals = runner.arrivals();
        runner.start_threads(inside, around);
        Self {
            signals,
            arrivals,
            exits,
            ended: Vec::new(),
        }
    }

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
    ///
    /// # Panics
    ///
    /// If the runtime has no timers (`enable_time`).
    pub async fn caught_up_within(&self, deadline: Duration) -> Result<(), NotCaughtUp> {
        arrival::ask(&self.arrivals);
        let settled = async {
            while !arrival::is_settled(&self.arrivals) {
                self.signals.wake();
                sleep(PAUSE).await;
            }
        };
        // Without an answer, each consumer's reason is in the error.
        let _timed_out = timeout(deadline, settled).await;
        NotCaughtUp::check(&self.arrivals)
    }

    /// Asks the consumers to end, and waits for them.
    ///
    /// # Errors
    ///
    /// When some consumers do not end in time because a handler is still at work, or a statement has
    /// no answer. They end after that, if the runtime runs that long. Otherwise their messages are
    /// handled again, as after a crash.
    ///
    /// # Panics
    ///
    /// If the runtime has no timers (`enable_time`).
    pub async fn stop_within(
        mut self,
        deadline: Duration,
    ) -> Result<Vec<ConsumerExit>, StopTimedOut> {
        self.signals.stop();
        let all = async {
            while let Some(exit) = self.exits.recv().await {
                self.ended.push(exit);
            }
        };
        if timeout(deadline, all).await.is_ok() {
            return Ok(std::mem::take(&mut self.ended));
        }
        Err(StopTimedOut {
            consumers: arrival::still_running(&self.arrivals),
        })
    }

    /// Waits for `signal` or for a consumer that stops by itself, then for the others.
    pub(super) async fn run_until<F: Future>(
        mut self,
        signal: F,
        deadline: Duration,
    ) -> Result<Vec<ConsumerExit>, StopTimedOut> {
        if self.arrivals.is_empty() {
            signal.await;
        } else {
            select(pin!(signal), pin!(self.has_ended())).await;
        }
        self.stop_within(deadline).await
    }

    /// Waits until a consumer has stopped by itself, or all have ended.
    async fn has_ended(&mut self) {
        std::future::poll_fn(|context| self.poll_ended(context)).await;
    }

    fn poll_ended(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while let Poll::Ready(exit) = self.exits.poll_recv(context) {
            match exit {
                Some(exit) => self.ended.push(exit),
                None => return Poll::Ready(()),
            }
        }
        if self.ended.is_empty() || self.signals.is_stopping() {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }
}

impl Future for Running {
    type Output = Vec<ConsumerExit>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_ended(context)
            .map(|()| std::mem::take(&mut self.ended))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signals.stop();
    }
}

/// Runs the body of a thread.
fn run_in(runtime: &WatchedRuntime, body: Body) -> ConsumerExit {
    let _entered = runtime.occupy_thread();
    let mut exit = body();
    if runtime.has_ended() {
        let error = Error::permanent("running", ENDED).of_consumer(&exit.consumer);
        exit.error = Some(match exit.error {
            Some(effect) => error.followed_by(effect),
            None => error,
        });
    }
    exit
}

/// Lives in a task of the runtime, so it is dropped when the runtime ends.
struct EndOfRuntime {
    ended: watch::Sender<bool>,
    signals: Arc<Signals>,
    /// Nothing is ever sent: it is closed when no consumer is left.
    consumers: mpsc::Receiver<Infallible>,
}

impl Drop for EndOfRuntime {
    fn drop(&mut self) {
        let has_consumers = matches!(self.consumers.try_recv(), Err(TryRecvError::Empty));
        if has_consumers {
            warn!("consumers stopped: {ENDED}");
            self.ended.send_replace(true);
            self.signals.stop();
        }
    }
}

/// Watches the runtime until each clone of the sender is dropped. When the runtime ends before,
/// stops the consumers.
fn watched(runtime: Handle, signals: &Arc<Signals>) -> (WatchedRuntime, mpsc::Sender<Infallible>) {
    let (alive, consumers) = mpsc::channel(1);
    let (ended, has_ended) = watch::channel(false);
    let end = EndOfRuntime {
        ended,
        signals: Arc::clone(signals),
        consumers,
    };
    runtime.spawn(async move {
        let mut end = end;
        let _closed = end.consumers.recv().await;
    });
    let watched = WatchedRuntime {
        handle: runtime,
        ended: has_ended,
    };
    (watched, alive)
}
