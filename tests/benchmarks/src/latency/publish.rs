//! The time from the commit to the handler.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use benchmark_rows::Failure;
use benchmark_rows::topic::Orders;
use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, Runner};

use super::{Pace, Wake, awaiting, by_hand};
use crate::with_driver::WithDriver;

/// The time that a message may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Publishes for some time, and returns the time that each message took until it was handled.
pub fn latencies<B: WithDriver>(
    url: &str,
    pace: Pace,
    wake: Wake,
    duration: Duration,
) -> Result<Vec<Duration>, Failure> {
    let (consumer, handled) = start_consumer::<B>(url, wake)?;
    let beside = match pace {
        Pace::TwoAtFullLoad => Some(Beside::start::<B>(url)?),
        _ => None,
    };
    let orders = MessageDispatcher::<Orders>::new();
    let mut connection = B::connect(url)?;
    let mut publish = || orders.dispatch(&mut connection, &Orders::number(0));
    // The first message makes both sides connect and prepare statements.
    publish()?;
    handled.recv_timeout(PATIENCE)?;
    let mut committed = Vec::new();
    let mut random = fastrand::Rng::with_seed(1);
    let begun = Instant::now();
    let mut due = begun;
    while due < begun + duration {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        publish()?;
        committed.push(Instant::now());
        (consumer.wake)();
        due = match pace.gap(&mut random) {
            Some(gap) => due + gap,
            None => Instant::now(),
        };
    }
    if let Some(beside) = beside {
        beside.stop()?;
    }
    let latencies = committed.into_iter().map(|committed| {
        // A message may be handled before the publisher gets the answer to its commit.
        let handled = handled.recv_timeout(PATIENCE)?;
        Ok(handled.saturating_duration_since(committed))
    });
    let latencies = latencies.collect();
    (consumer.stop)()?;
    latencies
}

/// The number of the messages whose times are not measured.
pub(super) const OF_ANOTHER: u64 = 1;

/// A second publisher, which never pauses.
struct Beside {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), persisting_message_bus::Error>>,
}

impl Beside {
    fn start<B: WithDriver>(url: &str) -> Result<Self, Failure> {
        let mut connection = B::connect(url)?;
        let is_over = Arc::<AtomicBool>::default();
        let ends = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            let orders = MessageDispatcher::<Orders>::new();
            while !ends.load(Ordering::SeqCst) {
                orders.dispatch(&mut connection, &Orders::number(OF_ANOTHER))?;
            }
            Ok(())
        });
        Ok(Self { is_over, thread })
    }

    fn stop(self) -> Result<(), Failure> {
        self.is_over.store(true, Ordering::SeqCst);
        Ok(self.thread.join().map_err(|_| "the publisher panicked")??)
    }
}

/// A running consumer.
pub(super) struct Consumer {
    /// Called by the publisher after each commit.
    pub(super) wake: Box<dyn Fn()>,
    pub(super) stop: Box<dyn FnOnce() -> Result<(), Failure>>,
}

/// Starts a consumer with default settings, and returns a receiver of the times of its calls.
fn start_consumer<B: WithDriver>(
    url: &str,
    wake: Wake,
) -> Result<(Consumer, Receiver<Instant>), Failure> {
    match wake {
        Wake::Tasks => return awaiting::start(url),
        Wake::ByHand => return by_hand::start(url),
        Wake::Polling | Wake::Waker | Wake::Notification => {}
    }
    let (sender, handled) = channel();
    let consumer = MessageConsumer::external("latency", move |message: &Message<Orders>| {
        if message.payload().order() != OF_ANOTHER {
            sender.send(Instant::now())?;
        }
        Ok(())
    });
    let connecting = url.to_owned();
    let runner = Runner::new(move || B::connect(&connecting)).consumer(consumer);
    let running = runner.start();
    let consumer = Consumer {
        wake: wake.by_publisher::<B>(url, &running),
        stop: Box::new(move || {
            running.stop_within(PATIENCE)?;
            Ok(())
        }),
    };
    Ok((consumer, handled))
}
