//! cargo run --bin worker
//!
//! Runs two consumers on `worker.db` in this folder, a thread each, while it places an order every
//! 300 ms, until ctrl-c or SIGTERM. The printer fails sometimes and tries again; the bookkeeper keeps
//! its sum in the transaction that moves its cursor. Start it twice: one of the two works, and the
//! other takes over when the first one ends or is killed.

use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use persisting_message_bus::diesel::{migrate, sqlite::Settings};
use persisting_message_bus::{
    Message, MessageConsumer, MessageDispatcher, Nudge, Retry, Runner, Shutdown, Topic,
};
use serde::{Deserialize, Serialize};

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

static PRINTED: AtomicU32 = AtomicU32::new(0);

fn connect() -> Result<SqliteConnection, Box<dyn Error + Send + Sync>> {
    let mut connection = SqliteConnection::establish("worker.db")?;
    Settings::default().apply(&mut connection)?;
    Ok(connection)
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut connection = connect()?;
    migrate(&mut connection)?;
    connection.batch_execute(
        "CREATE TABLE IF NOT EXISTS revenue (id INTEGER PRIMARY KEY, cents INTEGER NOT NULL);
        INSERT OR IGNORE INTO revenue VALUES (1, 0)",
    )?;

    let running = Runner::new(connect)
        .retry(
            Retry::default()
                .base(Duration::from_millis(200))
                .attempts(5),
        )
        .consumer(MessageConsumer::<Orders>::external("printer", print))
        .consumer(MessageConsumer::<Orders>::transactional("bookkeeper", book))
        .start();

    let shutdown = running.shutdown();
    ctrlc::set_handler({
        let shutdown = shutdown.clone();
        move || shutdown.request()
    })?;
    place_orders(&mut connection, &running.nudge(), &shutdown)?;

    for ended in running.stop_within(Duration::from_secs(10))? {
        match ended.error {
            None => println!("{} has ended", ended.consumer),
            Some(error) => println!("{} had stopped: {error:#}", ended.consumer),
        }
    }
    Ok(())
}

fn place_orders(
    connection: &mut SqliteConnection,
    nudge: &Nudge,
    shutdown: &Shutdown,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let orders = MessageDispatcher::<Orders>::new();
    for order in 1.. {
        if shutdown.is_requested() {
            break;
        }
        let placed = OrderPlaced {
            order,
            total_cents: 12_50,
        };
        orders.dispatch(connection, &placed)?;
        nudge.nudge();
        std::thread::sleep(Duration::from_millis(300));
    }
    Ok(())
}

/// Gets each message at least once. Every fifth time, the printer is out of paper.
fn print(message: &Message<Orders>) -> Result<(), Box<dyn Error + Send + Sync>> {
    let Orders::OrderPlaced(placed) = message.payload();
    if PRINTED.fetch_add(1, Ordering::Relaxed) % 5 == 4 {
        return Err("out of paper".into());
    }
    println!("{:>4}  order {}", message.position(), placed.order);
    Ok(())
}

/// Changes the sum exactly once for each message: in the transaction that moves the cursor.
fn book(
    connection: &mut SqliteConnection,
    message: &Message<Orders>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let Orders::OrderPlaced(placed) = message.payload();
    diesel::sql_query("UPDATE revenue SET cents = cents + ?")
        .bind::<diesel::sql_types::BigInt, _>(placed.total_cents)
        .execute(connection)?;
    Ok(())
}
