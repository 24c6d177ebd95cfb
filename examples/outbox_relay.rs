//! cargo run --bin outbox_relay
//!
//! A till that works without a network. It keeps its sales in `till.db`, and a relay copies them to
//! `centre.db`. Each sale arrives once, however often you kill this program and start it again. The
//! message table is the outbox: a sale and its message commit together, and no other table is
//! needed. With `--features postgres` or `mysql`, `--centre postgres://...` or `mysql://...` names
//! a server.

use std::error::Error;
use std::time::Duration;

use clap::Parser;
use diesel::Connection;
use diesel::SqliteConnection;
use diesel::connection::LoadConnection;
use indicatif::ProgressBar;
use persisting_message_bus::backend::{MessageSource, TransactionControl};
use persisting_message_bus::operate::{ConsumerKey, ConsumerStatus};
use persisting_message_bus::sql::{StoreBackend, migrate, sqlite::Settings};
use persisting_message_bus::{MessageBus, MessageDispatcher, Topic, relay};
use serde::{Deserialize, Serialize};

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Makes sales at the till, and relays them to the centre
#[derive(Parser)]
struct Arguments {
    /// The database of the centre: a file, or the address of a server
    #[arg(long, default_value = "centre.db")]
    centre: String,
    /// The number of sales to make
    #[arg(long, default_value_t = 10_000)]
    sales: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct Sold {
    article: u32,
    cents: i64,
}

#[derive(Debug, Topic)]
#[topic(name = "sales")]
enum Sales {
    Sold(Sold),
}

fn main() -> Result {
    let arguments = Arguments::parse();
    let mut till = connect("till.db")?;
    migrate(&mut till)?;
    sell(&mut till, arguments.sales)?;
    match arguments.centre.split_once("://") {
        #[cfg(feature = "postgres")]
        Some(("postgres" | "postgresql", _)) => {
            carry(till, diesel::PgConnection::establish(&arguments.centre)?)
        }
        #[cfg(feature = "mysql")]
        Some(("mysql", _)) => carry(till, diesel::MysqlConnection::establish(&arguments.centre)?),
        Some((server, _)) => {
            Err(format!("{server} needs --features postgres or --features mysql").into())
        }
        None => carry(till, connect(&arguments.centre)?),
    }
}

fn connect(file: &str) -> Result<SqliteConnection> {
    let mut connection = SqliteConnection::establish(file)?;
    Settings::default().apply(&mut connection)?;
    Ok(connection)
}

/// Makes sales in batches, because a transaction for each sale would be too slow for the till.
fn sell(till: &mut SqliteConnection, sales: u32) -> Result {
    let sales: Vec<_> = (0..sales)
        .map(|article| Sold {
            article: article % 97,
            cents: i64::from(article % 1_000),
        })
        .collect();
    till.in_transaction(|till| {
        // ... change the stock ...
        MessageDispatcher::<Sales>::new().dispatch_batch(till, &sales)
    })?;
    Ok(())
}

fn carry<C>(till: SqliteConnection, mut centre: C) -> Result
where
    C: LoadConnection + 'static,
    C::Backend: StoreBackend<C>,
{
    migrate(&mut centre)?;
    let mut both = MessageBus::new(till, centre);
    let mut relay = relay::<Sales, C>("till-to-centre").lease_duration(Duration::from_secs(2));
    let waiting = ConsumerStatus::read(
        &mut both,
        ConsumerKey {
            consumer: relay.name(),
            topic: Sales::NAME,
        },
    )?
    .lag_messages;
    let bar = ProgressBar::new(waiting);
    bar.enable_steady_tick(Duration::from_millis(100));
    loop {
        match relay.handle_page(&mut both) {
            Ok(0) => break,
            Ok(carried) => bar.inc(carried as u64),
            // Another process holds the lease, or was killed a moment ago.
            Err(error) if error.is_lease_held() => std::thread::sleep(Duration::from_millis(100)),
            Err(error) => match error.retry_after() {
                Some(wait) => std::thread::sleep(wait),
                None => return Err(error.into()),
            },
        }
    }
    bar.finish_and_clear();
    let there = both
        .state
        .backlog(Sales::NAME, Default::default())?
        .messages;
    println!("carried {waiting} sales; the centre has {there}");
    Ok(())
}
