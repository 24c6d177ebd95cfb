//! The time from the commit to the handler.

use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use benchmark_rows::Failure;
use benchmark_rows::topic::Orders;
use persisting_message_bus::operate::RunHandle;
use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, Runner};

use super::{Pace, Wake};
use crate::with_driver::WithDriver;

/// The time that a message may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Publishes for some time, and returns the time that each message took until it was handled.
pub fn latencies<B: WithDriver>(
    url: &str,
    pace: Pace,
    wake: Wake,
    duration: Duration,
) -> Result<Vec<Duration>, Failure> {
    let (running, handled) = start_consumer::<B>(url);
    let wake = wake.by_publisher::<B>(url, &running);
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
        wake();
        due = match pace.gap(&mut random) {
            Some(gap) => due + gap,
            None => Instant::now(),
        };
    }
    let latencies = committed.into_iter().map(|committed| {
        // A message may be handled before the publisher gets the answer to its commit.
        let handled = handled.recv_timeout(PATIENCE)?;
        Ok(handled.saturating_duration_since(committed))
    });
    let latencies = latencies.collect();
    running.stop_within(PATIENCE)?;
    latencies
}

/// Starts a consumer with default settings, and returns a receiver of the times of its calls.
fn start_consumer<B: WithDriver>(url: &str) -> (RunHandle, Receiver<Instant>) {
    let (sender, handled) = channel();
    let consumer = MessageConsumer::external("latency", move |_: &Message<Orders>| {
        Ok(sender.send(Instant::now())?)
    });
    let url = url.to_owned();
    let runner = Runner::new(move || B::connect(&url)).consumer(consumer);
    (runner.start(), handled)
}
