//! Dedicated servers: a standby, and a cluster that was restored from a dump.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use persisting_message_bus::Position;
use persisting_message_bus::backend::{LeaseRequest, MessageConsumerState, MessageSource};
use persisting_message_bus::sql::migrate;
use persisting_message_bus_tests::servers::PostgresServer;
use persisting_message_bus_tests::topics::OrderPlaced;

use super::{consume, orders};

fn connect(server: &PostgresServer) -> PgConnection {
    PgConnection::establish(&server.url()).unwrap()
}

#[test]
fn a_standby_is_not_read() {
    let mut server = PostgresServer::start();
    migrate(&mut connect(&server)).unwrap();
    orders()
        .dispatch(&mut connect(&server), &OrderPlaced::number(1))
        .unwrap();
    server.stop();
    fs::write(server.data().join("standby.signal"), "").unwrap();
    server.start_again();
    let error = connect(&server).current_head("orders").unwrap_err();
    let text = format!("{error:#}");
    for part in ["\"orders\"", "standby", "read from the primary"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_restored_cluster_continues_where_the_dump_was_made() {
    let old = PostgresServer::start();
    let mut bus = connect(&old);
    migrate(&mut bus).unwrap();
    let batch = (0..1_000).map(OrderPlaced::number);
    orders().dispatch_batch(&mut bus, batch).unwrap();
    assert_eq!(consume(&mut bus).len(), 1_000);
    for order in 1_000..1_003 {
        orders()
            .dispatch(&mut bus, &OrderPlaced::number(order))
            .unwrap();
    }
    let dump = old.command("pg_dump").output().unwrap();
    assert!(dump.status.success());

    let new = PostgresServer::start();
    let mut restore = new
        .command("psql")
        .args(["--quiet", "--set", "ON_ERROR_STOP=1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut restore.stdin.take().unwrap(), &dump.stdout).unwrap();
    assert!(restore.wait().unwrap().success());

    let mut bus = connect(&new);
    assert_eq!(consume(&mut bus), [1_000, 1_001, 1_002]);
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1_003))
        .unwrap();
    assert_eq!(consume(&mut bus), [1_003]);
    assert_eq!(bus.current_head("orders").unwrap(), Position::new(1_004));
}

/// Uses a dedicated server, on which no other session makes the server flush to the disk.
#[test]
fn acquiring_a_lease_does_not_wait_for_the_disk() {
    let server = PostgresServer::start();
    let mut bus = connect(&server);
    migrate(&mut bus).unwrap();
    let request = LeaseRequest {
        consumer: "all",
        topic: "orders",
        segment: None,
        owner: "one",
        duration: Duration::from_secs(30),
        identity: Default::default(),
        hands_out: false,
    };
    let is_on_its_way = |bus: &mut PgConnection| -> bool {
        let later = "SELECT pg_current_wal_flush_lsn() < pg_current_wal_insert_lsn()";
        sql::<Bool>(later).get_result(bus).unwrap()
    };
    bus.acquire(&request).unwrap();
    let taken = (0..10).map(|_| {
        let lease = bus.acquire(&request).unwrap();
        let waits_not = is_on_its_way(&mut bus);
        bus.release(&lease).unwrap();
        waits_not
    });
    assert!(taken.filter(|waits_not| *waits_not).count() > 5);
}
