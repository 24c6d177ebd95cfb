//! cargo run --bin async_service --features tokio
//!
//! An async service on `async_service.db` in this folder. It handles a request every 300 ms: it
//! stores an order and dispatches its message in one transaction of an async connection. A consumer
//! with an async handler mails each order. Ctrl-C stops the requests, and then the consumer after
//! its current message.

use std::error::Error;
use std::time::Duration;

use diesel::sql_types::BigInt;
use diesel::{Connection as _, SqliteConnection};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{AsyncConnection, RunQueryDsl, SimpleAsyncConnection};
use persisting_message_bus::asynchronous::{MessageConsumer, MessageDispatcher, Runner, migrate};
use persisting_message_bus::sql::sqlite::Settings;
use persisting_message_bus::{Message, Topic, Waker};
use serde::{Deserialize, Serialize};
use tokio::signal::ctrl_c;
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
type Database = SyncConnectionWrapper<SqliteConnection>; // or AsyncPgConnection

#[tokio::main]
async fn main() -> Result {
    let mut db = migrate(Database::new(connect()?)).await?;
    db.batch_execute("CREATE TABLE IF NOT EXISTS shop_orders (total_cents BIGINT NOT NULL)")
        .await?;

    let patience = Duration::from_secs(30); // captured by the handler
    let mailer = MessageConsumer::<Orders>::external("mailer", async move |message| {
        timeout(patience, send_mail(message)).await?
    });
    let running = Runner::on_sync_connections(connect) // or Runner::on_pool(pool)
        .consumer(mailer)
        .start();

    let served = tokio::select! {
        served = serve(db, running.waker()) => served,
        interrupted = ctrl_c() => interrupted.map_err(Into::into),
    };
    for exit in running.stop_within(Duration::from_secs(40)).await? {
        match exit.error {
            None => println!("{} has ended", exit.consumer), // after a shutdown
            Some(error) => eprintln!("{} stopped: {error:#}", exit.consumer),
        }
    }
    served
}

/// Handles a request: stores an order and dispatches its message, in one transaction.
async fn place_order(db: &mut Database, total_cents: i64) -> Result {
    let orders = MessageDispatcher::<Orders>::new();
    db.transaction(async |db| {
        diesel::sql_query("INSERT INTO shop_orders (total_cents) VALUES (?)")
            .bind::<BigInt, _>(total_cents)
            .execute(db)
            .await?;
        orders.dispatch(db, &OrderPlaced { total_cents }).await?; // commits with the order
        Ok(())
    })
    .await
}
// docs: end

/// Takes the place of a web server.
async fn serve(mut db: Database, waker: Waker) -> Result {
    for order in 1.. {
        place_order(&mut db, order * 100).await?;
        waker.wake(); // after the commit
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

fn connect() -> Result<SqliteConnection> {
    let mut connection = SqliteConnection::establish("async_service.db")?;
    Settings::default().apply(&mut connection)?;
    Ok(connection)
}
