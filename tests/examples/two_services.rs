//! `two_services` bills each order once, although its services are killed.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use persisting_message_bus_tests::databases::connect_sqlite;
use persisting_message_bus_tests::seed;

/// Returns the ids of messages with their number of occurrences.
fn ids(connection: &mut SqliteConnection, query: &str) -> BTreeMap<String, usize> {
    let mut ids = BTreeMap::new();
    let found = diesel::dsl::sql::<diesel::sql_types::Text>(query).load::<String>(connection);
    // The other process may not have created its tables yet.
    for id in found.unwrap_or_default() {
        *ids.entry(id).or_default() += 1;
    }
    ids
}

#[test]
fn two_services_that_are_killed_lose_nothing_and_bill_once() {
    const ORDERS: usize = 200;
    let mut random = fastrand::Rng::with_seed(seed());
    let folder = tempfile::tempdir().unwrap();
    // The port is free again when this statement ends.
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .to_string();
    let start = |service| {
        Command::new(env!("CARGO_BIN_EXE_two_services"))
            .args([service, "--address", &address])
            .args(["--orders", &ORDERS.to_string()])
            .current_dir(&folder)
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    let names = ["orders", "billing"];
    let mut services = names.map(start);
    for _ in 0..12 {
        // The kill hits a random moment.
        thread::sleep(Duration::from_millis(random.u64(50..500)));
        let index = random.usize(..2);
        services[index].kill().unwrap();
        services[index].wait().unwrap();
        services[index] = start(names[index]);
    }
    let connect = |file: &str| connect_sqlite(folder.path().join(file).to_str().unwrap());
    let (mut orders, mut billing) = (connect("orders.db"), connect("billing.db"));
    let begun = Instant::now();
    let invoices = loop {
        let invoices = ids(&mut billing, "SELECT message_id FROM invoices");
        if invoices.len() == ORDERS {
            break invoices;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "{} invoices",
            invoices.len()
        );
        thread::sleep(Duration::from_millis(20));
    };
    for mut service in services {
        service.kill().unwrap();
        service.wait().unwrap();
    }
    let placed = ids(&mut orders, "SELECT message_id FROM public_messages");
    assert_eq!(invoices, placed);
    assert!(invoices.values().all(|count| *count == 1));
}
