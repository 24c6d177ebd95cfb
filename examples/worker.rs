//! cargo run --bin worker
//!
//! Runs two consumers on `worker.db` in this folder, each with its own thread, and places an order
//! every 300 ms, until Ctrl-C or SIGTERM. The bookkeeper updates its sum in the transaction that
//! moves its cursor. The printer has no paper for every fifth order: it tries three times, parks
//! the message, and continues. Type `status`, `parked`, `redrive`, `pause`, `resume` or `quit`.
//! Start the program twice: one process works, and the other one takes over when the first ends or
//! is killed.

use std::error::Error;
use std::io::stdin;
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use persisting_message_bus::backend::MessageConsumerState;
use persisting_message_bus::operate::Shutdown;
use persisting_message_bus::operate::{
    ConsumerKey, ConsumerStatus, FailedMessagesRequest, MessageFailures, ParkedSelector,
};
use persisting_message_bus::sql::{migrate, sqlite::Settings};
use persisting_message_bus::{
    FailurePolicy, Message, MessageConsumer, MessageDispatcher, OnAdded, RetryPolicy, Runner,
    Topic, Waker,
};
use serde::{Deserialize, Serialize};
use serde_json::to_value;

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Debug, Serialize, Deserialize)]
struct OrderPlaced {
    order: u32,
    total_cents: i64,
}

#[derive(Debug, Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn connect() -> Result<SqliteConnection> {
    let mut connection = SqliteConnection::establish("worker.db")?;
    Settings::default().apply(&mut connection)?;
    Ok(connection)
}

fn main() -> Result {
    let mut connection = connect()?;
    migrate(&mut connection)?;
    connection.batch_execute(
        "CREATE TABLE IF NOT EXISTS revenue (id INTEGER PRIMARY KEY, cents INTEGER NOT NULL);
        INSERT OR IGNORE INTO revenue VALUES (1, 0)",
    )?;
    // docs: retry
    let park = RetryPolicy::default()
        .initial_delay(Duration::from_millis(50))
        .max_attempts(3)
        .on_exhausted(FailurePolicy::Park);
    let printer = MessageConsumer::<Orders>::external("printer", print).retry(park);
    // docs: end
    // docs: added
    let bookkeeper = MessageConsumer::<Orders>::transactional("bookkeeper", book);
    let bookkeeper = bookkeeper.on_added(OnAdded::Replay); // or OnAdded::FromNow
    // docs: end
    // docs: runner
    let running = Runner::new(connect) // or `Runner::on_pool(pool)`
        .consumer(printer)
        .consumer(bookkeeper)
        .start();
    let shutdown = running.shutdown();
    ctrlc::set_handler(move || shutdown.request())?;
    // docs: end
    let typed = running.shutdown();
    thread::spawn(move || obey(&typed));
    place_orders(&mut connection, &running.waker(), &running.shutdown())?;
    // docs: runner
    for exit in running.stop_within(Duration::from_secs(10))? {
        match exit.error {
            None => println!("{} has ended", exit.consumer), // after a shutdown
            Some(error) => eprintln!("{} stopped: {error:#}", exit.consumer),
        }
    }
    // docs: end
    Ok(())
}

fn place_orders(db: &mut SqliteConnection, waker: &Waker, shutdown: &Shutdown) -> Result {
    for order in (1..).take_while(|_| !shutdown.is_requested()) {
        let total_cents = 12_50;
        place(db, &OrderPlaced { order, total_cents })?;
        waker.wake();
        thread::sleep(Duration::from_millis(300));
    }
    Ok(())
}

// docs: place
/// Dispatches a message, and repeats that after a retryable error.
fn place(db: &mut SqliteConnection, placed: &OrderPlaced) -> Result {
    let (orders, retry) = (MessageDispatcher::<Orders>::new(), RetryPolicy::default());
    let mut attempts = 0;
    loop {
        attempts += 1;
        match orders.dispatch(db, placed) {
            Err(error) if error.is_retryable() && attempts < retry.max_attempts => {
                thread::sleep(retry.backoff.delay_after(attempts));
                if error.is_disconnected() {
                    *db = connect()?;
                }
            }
            dispatched => return Ok(dispatched.map(drop)?),
        }
    }
}
// docs: end

/// Executes typed commands. An operator's program would have a connection and no consumers.
fn obey(shutdown: &Shutdown) -> Result {
    let (mut db, consumer, topic) = (connect()?, "printer", "orders");
    for line in stdin().lines() {
        let answer = match line?.as_str() {
            "status" => to_value(ConsumerStatus::read(
                &mut db,
                ConsumerKey { consumer, topic },
            )?)?,
            "parked" => to_value(db.failed_messages(&FailedMessagesRequest::of_parked(
                ConsumerKey { consumer, topic },
            ))?)?,
            "redrive" => {
                to_value(db.redrive(ConsumerKey { consumer, topic }, ParkedSelector::All)?)?
            }
            "pause" => to_value(db.pause(ConsumerKey { consumer, topic })?)?,
            "resume" => to_value(db.resume(ConsumerKey { consumer, topic })?)?,
            _ => {
                shutdown.request();
                break;
            }
        };
        println!("{answer:#}");
    }
    Ok(())
}

/// Prints an order. Gets each message at least once. Replays are not printed again.
fn print(message: &Message<Orders>) -> Result {
    let Orders::OrderPlaced(placed) = message.payload();
    if placed.order % 5 == 0 {
        return Err("out of paper".into());
    }
    if !message.is_replay() {
        println!("{:>4}  order {}", message.position(), placed.order);
    }
    Ok(())
}

/// Adds an order to the sum exactly once, because this runs in the transaction that moves the
/// cursor.
fn book(db: &mut SqliteConnection, message: &Message<Orders>) -> Result {
    let Orders::OrderPlaced(placed) = message.payload();
    diesel::sql_query("UPDATE revenue SET cents = cents + ?")
        .bind::<diesel::sql_types::BigInt, _>(placed.total_cents)
        .execute(db)?;
    Ok(())
}
