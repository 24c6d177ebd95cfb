//! cargo run --bin worker
//!
//! Runs two consumers on `worker.db` in this folder, a thread each, while it places an order every
//! 300 ms, until ctrl-c or SIGTERM. The bookkeeper keeps its sum in the transaction that moves its
//! cursor. The printer has no paper for every fifth order: it tries three times, parks it, and goes on.
//! Type `status`, `parked`, `redrive`, `pause`, `resume` or `quit`. Started twice, one of the two works,
//! and the other takes over when it ends or is killed.

use std::error::Error;
use std::io::stdin;
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use persisting_message_bus::diesel::{migrate, sqlite::Settings};
use persisting_message_bus::{
    ConsumerStatus, FailedPage, GiveUp, Message, MessageConsumer, MessageConsumerState,
    MessageDispatcher, MessageFailures, Nudge, Parked, Retry, Runner, Shutdown, Topic,
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
    let park = Retry::default()
        .base(Duration::from_millis(50))
        .attempts(3)
        .then(GiveUp::Park);
    let running = Runner::new(connect)
        .consumer(MessageConsumer::<Orders>::external("printer", print).retry(park))
        .consumer(MessageConsumer::<Orders>::transactional("bookkeeper", book))
        .start();
    let (signal, typed) = (running.shutdown(), running.shutdown());
    ctrlc::set_handler(move || signal.request())?;
    thread::spawn(move || obey(&typed));
    place_orders(&mut connection, &running.nudge(), &running.shutdown())?;
    for ended in running.stop_within(Duration::from_secs(10))? {
        let why = ended.error.map(|error| format!(": {error:#}"));
        println!("{} has ended{}", ended.consumer, why.unwrap_or_default());
    }
    Ok(())
}

fn place_orders(db: &mut SqliteConnection, nudge: &Nudge, shutdown: &Shutdown) -> Result {
    let (orders, total_cents) = (MessageDispatcher::<Orders>::new(), 12_50);
    for order in (1..).take_while(|_| !shutdown.is_requested()) {
        orders.dispatch(db, &OrderPlaced { order, total_cents })?;
        nudge.nudge();
        thread::sleep(Duration::from_millis(300));
    }
    Ok(())
}

/// Does what is typed. An operator's program would have a connection and no consumers.
fn obey(shutdown: &Shutdown) -> Result {
    let (mut db, consumer, topic) = (connect()?, "printer", "orders");
    for line in stdin().lines() {
        let answer = match line?.as_str() {
            "status" => to_value(ConsumerStatus::read(&mut db, consumer, topic)?)?,
            "parked" => to_value(db.failed_messages(&FailedPage::of_parked(consumer, topic))?)?,
            "redrive" => to_value(db.redrive(consumer, topic, Parked::All)?)?,
            "pause" => to_value(db.set_paused(consumer, topic, true)?)?,
            "resume" => to_value(db.set_paused(consumer, topic, false)?)?,
            _ => {
                shutdown.request();
                break;
            }
        };
        println!("{answer:#}");
    }
    Ok(())
}

/// Gets each message at least once. A replay is not printed again.
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

/// Changes the sum exactly once for each message: in the transaction that moves the cursor.
fn book(db: &mut SqliteConnection, message: &Message<Orders>) -> Result {
    let Orders::OrderPlaced(placed) = message.payload();
    diesel::sql_query("UPDATE revenue SET cents = cents + ?")
        .bind::<diesel::sql_types::BigInt, _>(placed.total_cents)
        .execute(db)?;
    Ok(())
}
