//! A consumer with an async handler on PostgreSQL, woken by tasks that listen and notify.

use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use benchmark_rows::Failure;
use benchmark_rows::topic::Orders;
use diesel_async::{AsyncConnection, AsyncPgConnection};
use persisting_message_bus::asynchronous::postgres::{Listener, Notifications, Notifier};
use persisting_message_bus::asynchronous::{MessageConsumer, Runner};
use tokio::runtime::Runtime;

use super::publish::{Consumer, OF_ANOTHER, PATIENCE};

/// Starts the consumer with default settings, in a runtime as `#[tokio::main]` has it. Returns a
/// receiver of the times of its calls.
pub fn start(url: &str) -> Result<(Consumer, Receiver<Instant>), Failure> {
    let runtime = Runtime::new()?;
    let entered = runtime.enter();
    let (sender, handled) = channel();
    let consumer = MessageConsumer::<Orders>::external("latency", async move |message| {
        if message.payload().order() != OF_ANOTHER {
            sender.send(Instant::now())?;
        }
        Ok(())
    });
    let url = url.to_owned();
    let connect = async move || AsyncPgConnection::establish(&url).await;
    let runner = Runner::on_dedicated_connections(connect.clone());
    let running = runner.consumer(consumer).start();
    let settings = Notifications::default();
    let listener = Listener::start(settings.clone(), connect.clone(), running.waker());
    let notifier = Notifier::start(settings, connect);
    drop(entered);
    let consumer = Consumer {
        wake: Box::new(move || notifier.notify()),
        stop: Box::new(move || {
            drop(listener);
            runtime.block_on(running.stop_within(PATIENCE))?;
            Ok(())
        }),
    };
    Ok((consumer, handled))
}
