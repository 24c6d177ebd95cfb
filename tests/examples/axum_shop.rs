//! `axum_shop` is killed at random under load, and started again. In the end, the orders, the messages and
//! the mails are the same set, and the revenue has counted each order once.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::Text;
use fastrand::Rng;
use persisting_message_bus_tests::databases::{Database, Postgres, Server, connect_sqlite};
use persisting_message_bus_tests::waiting::wait_until;
use persisting_message_bus_tests::{seed, soak_time};

const CLIENTS: usize = 4;

/// A running shop.
struct Shop {
    process: Child,
    address: String,
    /// It writes more at its end.
    output: Lines<BufReader<ChildStdout>>,
}

impl Shop {
    fn start(program: &str, folder: &Path, database: &str) -> Self {
        let mut process = Command::new(program)
            .current_dir(folder)
            .env("ADDRESS", "127.0.0.1:0")
            .env("DATABASE_URL", database)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = lines.next().expect("an address").unwrap();
        let address = line
            .strip_prefix("listening on http://")
            .unwrap()
            .to_owned();
        Self {
            process,
            address,
            output: lines,
        }
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn stop(mut self) {
        let id = self.process.id().to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status();
        assert!(told.unwrap().success());
        assert!(self.process.wait().unwrap().success());
        let mut ended: Vec<_> = self.output.map(Result::unwrap).collect();
        ended.sort_unstable();
        assert_eq!(ended, ["mailer has ended", "revenue has ended"]);
    }
}

/// Sends a request; returns the response, unless the shop was killed.
fn request(address: &str, request: &str) -> Option<String> {
    let mut connection = TcpStream::connect(address).ok()?;
    let patience = Some(Duration::from_secs(20));
    connection.set_read_timeout(patience).ok()?;
    connection.write_all(request.as_bytes()).ok()?;
    let mut response = String::new();
    connection.read_to_string(&mut response).ok()?;
    response.starts_with("HTTP/1.1 2").then_some(response)
}

fn get(address: &str, path: &str) -> Option<String> {
    let head = format!("GET {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n");
    request(address, &head)
}

/// Places an order; returns its id, if the shop has answered.
fn place(address: &str, cents: u32) -> Option<String> {
    let body = format!(r#"{{"customer": "Ada", "total_cents": {cents}}}"#);
    let head = format!(
        "POST /orders HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let response = request(address, &head)?;
    let (_, id) = response.split_once("\r\n\r\n")?;
    Some(id.to_owned())
}

fn is_killed_at_random<C>(program: &str, database: &str, connect: impl Fn(&Path) -> C)
where
    C: Tables,
{
    let folder = tempfile::tempdir().unwrap();
    let mut random = Rng::with_seed(seed());
    let (address, ends) = (Mutex::new(String::new()), AtomicBool::new(false));
    let current = || {
        address
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    };
    let acknowledged: BTreeSet<String> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (current, ends) = (&current, &ends);
                let mut random = Rng::with_seed(client as u64);
                scope.spawn(move || {
                    let mut placed = Vec::new();
                    while !ends.load(Ordering::SeqCst) {
                        match place(&current(), random.u32(1..10_000)) {
                            Some(id) => placed.push(id),
                            // It is started again.
                            None => thread::yield_now(),
                        }
                    }
                    placed
                })
            })
            .collect();
        let begun = Instant::now();
        while begun.elapsed() < soak_time(5) {
            let shop = Shop::start(program, folder.path(), database);
            *address.lock().unwrap() = shop.address.clone();
            thread::sleep(Duration::from_millis(random.u64(20..1_500)));
            shop.kill();
        }
        ends.store(true, Ordering::SeqCst);
        clients
            .into_iter()
            .flat_map(|client| client.join().unwrap())
            .collect()
    });

    let shop = Shop::start(program, folder.path(), database);
    let mut connection = connect(folder.path());
    let orders = connection.texts("SELECT id AS text FROM shop_orders");
    let messages = connection.texts(C::ORDERS_OF_MESSAGES);
    assert_eq!(orders.len(), messages.len());
    let [orders, messages] = [orders, messages].map(|all| all.into_iter().collect::<BTreeSet<_>>());
    assert_eq!(orders, messages);
    let lost: Vec<_> = acknowledged.difference(&orders).collect();
    assert!(lost.is_empty(), "{lost:?}");
    assert!(acknowledged.len() > 20, "only {}", acknowledged.len());

    wait_until("each order is mailed", || mails(folder.path()) == orders);
    let cents = connection.texts("SELECT CAST(sum(total_cents) AS TEXT) AS text FROM shop_orders");
    let revenue = format!(r#"{{"orders":{},"cents":{}}}"#, orders.len(), cents[0]);
    wait_until("each order is added to the revenue once", || {
        get(&shop.address, "/revenue").is_some_and(|response| response.ends_with(&revenue))
    });
    let feed = get(&shop.address, "/feeds/orders?limit=3").expect("a feed");
    assert_eq!(feed.matches("\"OrderPlaced\"").count(), 3, "{feed}");
    shop.stop();
}

/// The orders that are mailed at least once. A mail may be sent again after a kill.
fn mails(folder: &Path) -> BTreeSet<String> {
    let mails = std::fs::read_to_string(folder.join("axum_shop.mails")).unwrap_or_default();
    let order = |line: &str| line.split(' ').nth(1).map(str::to_owned);
    mails.lines().filter_map(order).collect()
}

/// Reads texts.
trait Tables {
    /// The orders of the messages, as texts.
    const ORDERS_OF_MESSAGES: &'static str;

    fn texts(&mut self, sql: &str) -> Vec<String>;
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    text: String,
}

macro_rules! reads_texts {
    ($connection:ty, $orders:literal) => {
        impl Tables for $connection {
            const ORDERS_OF_MESSAGES: &'static str = $orders;

            fn texts(&mut self, sql: &str) -> Vec<String> {
                let rows: Vec<Row> = diesel::sql_query(sql).load(self).unwrap();
                rows.into_iter().map(|row| row.text).collect()
            }
        }
    };
}
reads_texts!(
    SqliteConnection,
    "SELECT json_extract(payload, '$.order') AS text FROM public_messages"
);
reads_texts!(
    PgConnection,
    "SELECT payload->>'order' AS text FROM public_messages"
);

#[test]
fn axum_shop_loses_and_repeats_nothing_when_it_is_killed() {
    is_killed_at_random(env!("CARGO_BIN_EXE_axum_shop"), "", |folder| {
        connect_sqlite(folder.join("axum_shop.db").to_str().unwrap())
    });
}

#[test]
fn axum_shop_on_postgres_loses_and_repeats_nothing_when_it_is_killed() {
    let database = Postgres::create();
    let program = env!("CARGO_BIN_EXE_axum_shop_on_postgres");
    is_killed_at_random(program, &database.url(), |_| database.connect());
}
