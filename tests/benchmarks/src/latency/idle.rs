//! The cost of an idle consumer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use benchmark_rows::Failure;
use benchmark_rows::topic::Orders;
use diesel::Connection;
use diesel::connection::InstrumentationEvent;
use persisting_message_bus::{Message, MessageConsumer, Runner};

use crate::with_driver::WithDriver;

/// The time that a consumer has to stop.
const PATIENCE: Duration = Duration::from_secs(10);

/// Counts the statements that a consumer with default settings runs in a duration, after it has
/// been idle for `settling`.
pub fn statements<B: WithDriver>(
    url: &str,
    settling: Duration,
    duration: Duration,
) -> Result<u64, Failure> {
    let statements = Arc::new(AtomicU64::new(0));
    let consumer = MessageConsumer::external("idle", |_: &Message<Orders>| Ok(()));
    let (url, counter) = (url.to_owned(), Arc::clone(&statements));
    let connect = move || {
        let mut connection = B::connect(&url)?;
        let counter = Arc::clone(&counter);
        connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::StartQuery { .. } = event {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        Ok::<_, Failure>(connection)
    };
    let running = Runner::new(connect).consumer(consumer).start();
    thread::sleep(settling);
    let before = statements.load(Ordering::Relaxed);
    thread::sleep(duration);
    let counted = statements.load(Ordering::Relaxed) - before;
    running.stop_within(PATIENCE)?;
    Ok(counted)
}
