//! From the commit to the handler.

use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, Runner, Running};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use crate::Failure;
use crate::backends::Backend;
use crate::pace::Pace;

/// How long a message may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Publishes for some time, and returns how long each message took until it was handled.
pub fn latencies<B: Backend>(
    backend: &B,
    pace: &Pace,
    nudged: bool,
    duration: Duration,
    random: &mut fastrand::Rng,
) -> Result<Vec<Duration>, Failure> {
    let (running, handled) = start_consumer(backend);
    let nudge = running.nudge();
    let orders = MessageDispatcher::<Orders>::new();
    let mut connection = B::connect(&backend.url())?;
    // The first one is there to connect and to prepare.
    orders.dispatch(&mut connection, &OrderPlaced::number(0))?;
    handled.recv_timeout(PATIENCE)?;
    let mut committed = Vec::new();
    let begun = Instant::now();
    let mut due = begun;
    while due < begun + duration {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        orders.dispatch(&mut connection, &OrderPlaced::number(0))?;
        committed.push(Instant::now());
        if nudged {
            nudge.nudge();
        }
        due += pace.gap(random);
    }
    let latencies = committed.into_iter().map(|committed| {
        // It may be handled before we are told of the commit.
        let handled = handled.recv_timeout(PATIENCE)?;
        Ok(handled.saturating_duration_since(committed))
    });
    let latencies = latencies.collect();
    running.stop_within(PATIENCE)?;
    latencies
}

/// A consumer on default settings, and when it handles something.
fn start_consumer<B: Backend>(backend: &B) -> (Running, Receiver<Instant>) {
    let (sender, handled) = channel();
    let consumer = MessageConsumer::external("latency", move |_: &Message<Orders>| {
        Ok(sender.send(Instant::now())?)
    });
    let url = backend.url();
    let runner = Runner::new(move || B::connect(&url)).consumer(consumer);
    (runner.start(), handled)
}
