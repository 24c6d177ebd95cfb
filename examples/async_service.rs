//! cargo run --bin async_service --features tokio
//!
//! An async service on `async_service.db` in this folder. It handles a request every 300 ms: it
//! stores an order and dispatches its message in one transaction, on a blocking thread. A consumer
//! awaits an async function that mails each order. Ctrl-C stops the requests, and then the consumer
//! after its current message.

use std::error::Error;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use persisting_message_bus::sql::{migrate, sqlite::Settings};
use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, Runner, Topic, Waker};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::signal::ctrl_c;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Debug, Serialize, Deserialize)]
struct OrderPlaced {
    total_cents: i64,
}

#[derive(Debug, Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

// docs: main
#[tokio::main]
async fn main() -> Result {
    spawn_blocking(create_tables).await??;
    let runtime = Handle::current();
    let mailer = MessageConsumer::<Orders>::external("mailer", move |message: &Message<Orders>| {
        // The async block is needed: a timer can only be created inside the runtime.
        runtime.block_on(async { timeout(Duration::from_secs(30), send_mail(message)).await })?
    });
    let running = Runner::new(connect).consumer(mailer).start();

    let served = tokio::select! {
        served = serve(running.waker()) => served,
        interrupted = ctrl_c() => interrupted.map_err(Into::into),
    };
    for exit in spawn_blocking(|| running.stop_within(Duration::from_secs(40))).await?? {
        match exit.error {
            None => println!("{} has ended", exit.consumer), // after a shutdown
            Some(error) => eprintln!("{} stopped: {error:#}", exit.consumer),
        }
    }
    served
}

/// Handles a request: stores an order and dispatches its message, in one transaction.
async fn place_order(total_cents: i64, waker: &Waker) -> Result {
    let transaction = move || -> Result {
        connect()?.immediate_transaction(|db| {
            diesel::sql_query("INSERT INTO shop_orders (total_cents) VALUES (?)")
                .bind::<BigInt, _>(total_cents)
                .execute(db)?;
            MessageDispatcher::<Orders>::new().dispatch(db, &OrderPlaced { total_cents })?;
            Ok(())
        })
    };
    spawn_blocking(transaction).await??;
    waker.wake(); // after the commit
    Ok(())
}
// docs: end

/// Takes the place of a web server.
async fn serve(waker: Waker) -> Result {
    for order in 1.. {
        place_order(order * 100, &waker).await?;
        sleep(Duration::from_millis(300)).await;
    }
    Ok(())
}

/// Takes the place of a mail server's client.
async fn send_mail(message: &Message<Orders>) -> Result {
    let Orders::OrderPlaced(placed) = message.payload();
    sleep(Duration::from_millis(20)).await;
    println!(
        "{:>4}  mailed {} cents",
        message.position(),
        placed.total_cents
    );
    Ok(())
}

fn create_tables() -> Result {
    let mut connection = connect()?;
    migrate(&mut connection)?;
    connection
        .batch_execute("CREATE TABLE IF NOT EXISTS shop_orders (total_cents BIGINT NOT NULL)")?;
    Ok(())
}

fn connect() -> Result<SqliteConnection> {
    let mut connection = SqliteConnection::establish("async_service.db")?;
    Settings::default().apply(&mut connection)?;
    Ok(connection)
}
