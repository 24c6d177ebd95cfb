//! cargo run --bin two_services --features http
//!
//! Two services with a database each, and HTTP between them. `orders` places orders in `orders.db`
//! and serves them as a feed. `billing` reads the feed and writes an invoice for each order to
//! `billing.db`, in the transaction that moves its cursor. The command starts both services; `--
//! orders` and `-- billing` start one. Kill either and start it again: every order gets exactly one
//! invoice. Set `FEED_TOKEN` to another token for the feed.

mod http_server;

use std::error::Error;
use std::process::{Child, Command};
use std::time::Duration;
use std::{env, thread};

use clap::{Parser, ValueEnum};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use persisting_message_bus::operate::Shutdown;
use persisting_message_bus::sql::{migrate, sqlite::Settings};
use persisting_message_bus::{
    Coalescer, Message, MessageBus, MessageConsumer, MessageDispatcher, Runner, Topic,
};
use persisting_message_bus_http::{Feed, HttpSource};
use serde::{Deserialize, Serialize};

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Two services that share messages but no database
#[derive(Parser)]
struct Arguments {
    /// The service to start [default: both]
    service: Option<Service>,
    /// The address of the feed
    #[arg(long, default_value = "127.0.0.1:7373")]
    address: String,
    /// The number of orders to place in the first run
    #[arg(long, default_value_t = 1_000)]
    orders: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum Service {
    Orders,
    Billing,
}

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

fn main() -> Result {
    let arguments = Arguments::parse();
    match arguments.service {
        None => start_both(&arguments),
        Some(Service::Orders) => orders(&arguments),
        Some(Service::Billing) => billing(&arguments.address),
    }
}

fn start_both(arguments: &Arguments) -> Result {
    let start = |service| {
        Command::new(env::current_exe()?)
            .args([service, "--address", &arguments.address])
            .args(["--orders", &arguments.orders.to_string()])
            .spawn()
    };
    let mut services: Vec<Child> = vec![start("orders")?, start("billing")?];
    // Ctrl-C ends all three processes.
    services
        .iter_mut()
        .try_for_each(|service| service.wait().map(drop))?;
    Ok(())
}

fn connect(file: &str) -> Result<SqliteConnection> {
    let mut connection = SqliteConnection::establish(file)?;
    Settings::default().apply(&mut connection)?;
    Ok(connection)
}

fn orders(arguments: &Arguments) -> Result {
    let mut connection = connect("orders.db")?;
    migrate(&mut connection)?;
    // docs: feed
    let feed = Feed::new(|| connect("orders.db"), [Orders::NAME])? // or `move || pool.get()`
        .source("https://shop.example")? // the `source` of its CloudEvents
        .token(token()) // or token_for(.., topics), or public()
        .nested_at("/feeds")?;
    let app = axum::Router::new().merge(feed); // with the service's other routes
    // docs: end
    let runtime = tokio::runtime::Runtime::new()?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind(&arguments.address))?;
    runtime.spawn(http_server::serve(listener, app));

    let placed: i64 = diesel::sql_query("SELECT count(*) AS number FROM public_messages")
        .get_result::<Count>(&mut connection)?
        .number;
    // docs: coalesce
    let coalescer = Coalescer::new(|| connect("orders.db")) // or `move || pool.get()`
        .queue_timeout(Duration::from_secs(5)); // default: 10 seconds
    let orders = MessageDispatcher::<Orders>::new().coalescing(&coalescer);
    // docs: end
    for order in (1..=arguments.orders).skip(usize::try_from(placed)?) {
        let total_cents = i64::from(order) * 100;
        // docs: coalesce
        orders.dispatch(&OrderPlaced { order, total_cents })?; // from any thread
        // docs: end
        thread::sleep(Duration::from_millis(10));
    }
    println!("all orders are placed");
    wait_for_the_end(&Shutdown::default())
}

fn billing(address: &str) -> Result {
    let mut connection = connect("billing.db")?;
    migrate(&mut connection)?;
    connection.batch_execute(
        "CREATE TABLE IF NOT EXISTS invoices (message_id TEXT NOT NULL, cents BIGINT NOT NULL)",
    )?;
    let address = format!("http://{address}/feeds");
    // docs: consume
    let running = Runner::new(move || -> Result<_> {
        let feed = HttpSource::new(&address)?.token(token())?; // or token_from_env("FEED_TOKEN")
        Ok(MessageBus::new(feed, connect("billing.db")?)) // remote messages, local cursor
    })
    .consumer(MessageConsumer::<Orders>::transactional("billing", bill))
    .start();
    // docs: end
    wait_for_the_end(&running.shutdown())?;
    running.stop_within(Duration::from_secs(10))?;
    Ok(())
}

/// Returns the token that `billing` sends and `orders` accepts.
fn token() -> String {
    env::var("FEED_TOKEN").unwrap_or_else(|_| "a long random text".to_owned())
}

// docs: consume
/// Writes an invoice for an order. If the message were handled twice, there would be two invoices.
fn bill(connection: &mut SqliteConnection, message: &Message<Orders>) -> Result {
    let Orders::OrderPlaced(placed) = message.payload();
    println!("order {}: {} cents", placed.order, placed.total_cents);
    diesel::sql_query("INSERT INTO invoices VALUES (?, ?)")
        .bind::<Text, _>(message.message_id().to_string())
        .bind::<BigInt, _>(placed.total_cents)
        .execute(connection)?;
    Ok(())
}
// docs: end

/// Waits for Ctrl-C or SIGTERM.
fn wait_for_the_end(shutdown: &Shutdown) -> Result {
    let requested = shutdown.clone();
    ctrlc::set_handler(move || requested.request())?;
    while !shutdown.is_requested() {
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    number: i64,
}
