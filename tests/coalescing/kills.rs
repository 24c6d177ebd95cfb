//! Processes that are killed while their threads share commits.
//!
//! This program starts itself again as a publisher process: see `publisher`.

use std::collections::BTreeSet;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::thread;

use persisting_message_bus::backend::{MessageRepository, TransactionControl};
use persisting_message_bus::{Coalescer, Message, MessageConsumer};
use persisting_message_bus_tests::databases::{
    Database, Mariadb, Postgres, Server, Sqlite, connect_sqlite,
};
use persisting_message_bus_tests::seed;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use super::orders;

const DATABASE: &str = "COALESCING_PUBLISHER_DATABASE";
const NUMBER: &str = "COALESCING_PUBLISHER_NUMBER";
const THREADS: u64 = 16;

/// The body of a publisher, if the environment variable is set. Passes otherwise.
///
/// It publishes single messages on many threads until it is killed. It prints the number of each
/// acknowledged message.
#[test]
fn publisher() {
    let Ok(url) = env::var(DATABASE) else {
        return;
    };
    let number = env::var(NUMBER).unwrap().parse().unwrap();
    if url.starts_with("postgres:") {
        publish(number, move || Ok::<_, NoError>(Postgres::connect_to(&url)));
    } else if url.starts_with("mysql:") {
        publish(number, move || Ok::<_, NoError>(Mariadb::connect_to(&url)));
    } else {
        publish(number, move || Ok::<_, NoError>(connect_sqlite(&url)));
    }
}

type NoError = std::convert::Infallible;

fn publish<R>(number: u64, connect: impl Fn() -> Result<R, NoError> + Send + Sync + 'static)
where
    R: MessageRepository + TransactionControl + Send + 'static,
{
    let coalescer = Coalescer::new(connect).max_connections(2);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let orders = orders(&coalescer);
            scope.spawn(move || {
                let first = 1_000_000 * (number * THREADS + thread);
                for order in first.. {
                    orders.dispatch(&OrderPlaced::number(order)).unwrap();
                    let mut output = std::io::stdout().lock();
                    writeln!(output, "\nacknowledged {order}").unwrap();
                }
            });
        }
    });
}

fn start_publisher(url: &str, number: u64) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([
            "kills::publisher",
            "--exact",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(DATABASE, url)
        .env(NUMBER, number.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Reads `kill_after` acknowledgements, kills the publisher, and reads the rest of its output.
fn acknowledged(mut publisher: Child, kill_after: usize) -> BTreeSet<u64> {
    let lines = BufReader::new(publisher.stdout.take().unwrap()).lines();
    let mut acknowledged = BTreeSet::new();
    for line in lines {
        // The last line may be incomplete.
        let number = line.unwrap_or_default();
        let number = number.strip_prefix("acknowledged ").map(str::parse);
        if let Some(Ok(number)) = number {
            acknowledged.insert(number);
        }
        if acknowledged.len() == kill_after {
            publisher.kill().unwrap();
        }
    }
    publisher.wait().unwrap();
    acknowledged
}

fn acknowledged_messages_are_stored<D: Database>(database: &D, url: &str) {
    let mut random = fastrand::Rng::with_seed(seed());
    let mut said = BTreeSet::new();
    for number in 0..6 {
        let publisher = start_publisher(url, number);
        said.extend(acknowledged(publisher, random.usize(1..2_000)));
    }
    let mut delivered = Vec::new();
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        delivered.push(message.payload().order());
        Ok(())
    });
    let mut bus = database.connect();
    while consumer.handle_page(&mut bus).unwrap() > 0 {}
    let once: BTreeSet<_> = delivered.iter().copied().collect();
    assert_eq!(delivered.len(), once.len(), "a message was delivered twice");
    let lost: Vec<_> = said.difference(&once).collect();
    assert!(lost.is_empty(), "acknowledged but not stored: {lost:?}");
}

#[test]
fn messages_acknowledged_before_a_kill_are_in_sqlite() {
    let database = Sqlite::create();
    acknowledged_messages_are_stored(&database, &database.path());
}

#[test]
fn messages_acknowledged_before_a_kill_are_in_postgres() {
    let database = Postgres::create();
    acknowledged_messages_are_stored(&database, &database.url());
}

#[test]
fn messages_acknowledged_before_a_kill_are_in_mariadb() {
    let database = Mariadb::create();
    acknowledged_messages_are_stored(&database, &database.url());
}
