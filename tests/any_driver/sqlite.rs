//! sqlx on SQLite, whose single writer needs no function.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use diesel::RunQueryDsl;
use diesel::dsl::sql;
use diesel::sql_types::Text;
use persisting_message_bus::MessageDispatcher;
use persisting_message_bus::sql::{Database as Kind, TableSchema};
use persisting_message_bus_tests::databases::{Database, Sqlite};
use persisting_message_bus_tests::seed;
use persisting_message_bus_tests::topics::invoices::Invoices;
use persisting_message_bus_tests::topics::parcels::Parcels;

use crate::beside::dispatch;
use crate::clients::{Client, SqlxSqlite};
use crate::reader::Reader;
use crate::stored::{ROWS, all_headers, all_keys, sent};

#[test]
fn a_statement_stores_the_row_of_a_dispatch_on_sqlite() {
    let (by_library, by_client) = (Sqlite::create(), Sqlite::create());
    let invoices = MessageDispatcher::<Invoices>::new();
    let mut bus = by_library.connect();
    let mut client = SqlxSqlite::connect(&by_client.path());
    for headers in all_headers() {
        invoices
            .dispatch_with(&mut bus, &sent(), headers.clone())
            .unwrap();
        let schema = TableSchema::default();
        let statement = invoices.statement_with(Kind::Sqlite, &schema, &sent(), headers);
        client.run(&statement.unwrap()).unwrap();
    }
    let parcels = MessageDispatcher::<Parcels>::new();
    for (parcel, headers) in all_keys() {
        parcels
            .dispatch_with(&mut bus, &parcel, headers.clone())
            .unwrap();
        let schema = TableSchema::default();
        let statement = parcels.statement_with(Kind::Sqlite, &schema, &parcel, headers);
        client.run(&statement.unwrap()).unwrap();
    }
    let rows = |connection: &mut _| sql::<Text>(ROWS).load::<String>(connection).unwrap();
    let expected = rows(&mut bus);
    assert_eq!(expected.len(), all_headers().len() + all_keys().len());
    assert_eq!(rows(&mut by_client.connect()), expected);
}

#[test]
fn sqlx_and_publishers_at_random_lose_nothing_on_sqlite() {
    let mut random = fastrand::Rng::with_seed(seed());
    let database = Sqlite::create();
    let ended = AtomicBool::new(false);
    let (committed, seen) = thread::scope(|scope| {
        let (database, ended) = (&database, &ended);
        let publisher = scope.spawn(move || {
            let mut bus = database.connect();
            let mut orders = 0..;
            while !ended.load(Ordering::Acquire) {
                dispatch(&mut bus, orders.next().unwrap());
            }
            orders.start
        });
        let reader = scope.spawn(move || {
            let mut reader = Reader::new(database.connect());
            let mut seen = Vec::new();
            while !ended.load(Ordering::Acquire) {
                seen.extend(reader.read());
            }
            (seen, reader)
        });
        let mut client = SqlxSqlite::connect(&database.path());
        client.execute("PRAGMA busy_timeout = 60000").unwrap();
        let mut committed = Vec::new();
        let begun = Instant::now();
        for order in 1_000_000.. {
            if begun.elapsed() > Duration::from_secs(1) {
                break;
            }
            client.execute("BEGIN IMMEDIATE").unwrap();
            client.publish(order).unwrap();
            thread::sleep(Duration::from_micros(random.u64(0..2_000)));
            if random.u8(0..4) > 0 {
                client.execute("COMMIT").unwrap();
                committed.push(order);
            } else {
                client.execute("ROLLBACK").unwrap();
            }
        }
        ended.store(true, Ordering::Release);
        committed.extend(0..publisher.join().unwrap());
        let (mut seen, mut reader) = reader.join().unwrap();
        seen.extend(reader.read());
        (committed, seen)
    });
    let (mut committed, mut seen) = (committed, seen);
    committed.sort_unstable();
    seen.sort_unstable();
    println!("{} messages committed", committed.len());
    assert_eq!(seen, committed);
}
