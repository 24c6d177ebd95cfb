//! The library's way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use benchmark_rows::Failure;
use persisting_message_bus::operate::RunHandle;
use persisting_message_bus::{Message, MessageConsumer, ParallelConsumer, Runner};

use super::keys::Parcels;
use super::settings::{Load, Settings};
use crate::with_driver::WithDriver;

pub const WAY: &str = "library";

/// Starts to handle messages, and counts them.
pub fn start<B: WithDriver>(
    url: &str,
    consumer: &str,
    settings: Settings,
    handled: Arc<AtomicU64>,
) -> Result<RunHandle, Failure> {
    let (url, name) = (url.to_owned(), consumer.to_owned());
    let runner = Runner::new(move || B::connect(&url));
    let Settings { load, threads, .. } = settings;
    Ok(match load {
        Load::External { millis } => {
            let make = move || {
                let handled = Arc::clone(&handled);
                MessageConsumer::<Parcels>::external(&*name, move |_: &Message<Parcels>| {
                    sleep(Duration::from_millis(millis));
                    handled.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                })
            };
            let consumer = ParallelConsumer::by_key(make);
            runner.parallel(consumer.segments(settings.segments()).threads(threads))
        }
        Load::Transactional => {
            let make = move || {
                let handled = Arc::clone(&handled);
                let insert = move |connection: &mut B::Connection, message: &Message<Parcels>| {
                    B::insert_handled(connection, message.payload().number() as i64)?;
                    handled.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                };
                MessageConsumer::<Parcels>::transactional(&*name, insert)
            };
            let consumer = ParallelConsumer::by_key(make);
            runner.parallel(consumer.segments(settings.segments()).threads(threads))
        }
    }
    .start())
}
