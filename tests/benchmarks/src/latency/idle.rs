//! What a consumer costs that has nothing to do.

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

/// How long a consumer may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many statements a consumer runs in that time, on default settings; after having been idle for as
/// long as `settling`.
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
