//! cargo run --bin notifications --features postgres -- consume
//!
//! Two processes on PostgreSQL. `consume` prints each order and how long after its dispatch it
//! arrived, until Ctrl-C or SIGTERM. `publish` places an order and notifies the other process, so
//! that the order does not wait for the next poll. `DATABASE_URL` names another database than
//! `postgres://localhost/shop`.

use std::error::Error;
use std::time::Duration;
use std::{env, thread};

use chrono::Utc;
use clap::{Parser, ValueEnum};
use diesel::{Connection, ConnectionResult, PgConnection};
use persisting_message_bus::operate::RunHandle;
use persisting_message_bus::sql::migrate;
use persisting_message_bus::sql::postgres::{Listener, Notifications, Notifier};
use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, Runner, Topic};
use serde::{Deserialize, Serialize};

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Publishes an order, or consumes orders
#[derive(Parser)]
struct Arguments {
    process: Process,
}

#[derive(Clone, Copy, ValueEnum)]
enum Process {
    Publish,
    Consume,
}

#[derive(Debug, Serialize, Deserialize)]
struct OrderPlaced {
    total_cents: i64,
}

#[derive(Debug, Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn main() -> Result {
    let process = Arguments::parse().process;
    migrate(&mut connect()?)?;
    match process {
        Process::Publish => publish(&notifier()),
        Process::Consume => consume(),
    }
}

fn connect() -> ConnectionResult<PgConnection> {
    let address = env::var("DATABASE_URL");
    PgConnection::establish(address.as_deref().unwrap_or("postgres://localhost/shop"))
}

// docs: notify
/// Starts the publishing process's notifier.
fn notifier() -> Notifier {
    Notifications::default().notifier(connect) // a connection of its own
}

fn publish(notifier: &Notifier) -> Result {
    let placed = OrderPlaced { total_cents: 12_50 };
    MessageDispatcher::<Orders>::new().dispatch(&mut connect()?, &placed)?;
    notifier.notify(); // after each commit
    Ok(())
}

/// Starts the consuming process's listener, which the process keeps as long as the runner.
fn listener(running: &RunHandle) -> Listener {
    Notifications::default().listener(connect, running.waker())
}
// docs: end

fn consume() -> Result {
    let printer = MessageConsumer::<Orders>::external("printer", print);
    let running = Runner::new(connect).consumer(printer).start();
    let _until_the_end = listener(&running);
    let shutdown = running.shutdown();
    let requested = shutdown.clone();
    ctrlc::set_handler(move || requested.request())?;
    while !shutdown.is_requested() {
        thread::sleep(Duration::from_millis(50));
    }
    running.stop_within(Duration::from_secs(10))?;
    Ok(())
}

fn print(message: &Message<Orders>) -> Result {
    let Orders::OrderPlaced(placed) = message.payload();
    let after = Utc::now() - message.recorded_at();
    println!(
        "{} cents, after {} ms",
        placed.total_cents,
        after.num_milliseconds()
    );
    Ok(())
}
