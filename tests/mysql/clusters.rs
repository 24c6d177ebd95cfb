//! A server that was restored from a dump.

use std::process::Stdio;

use diesel::prelude::*;
use persisting_message_bus::sql::migrate;
use persisting_message_bus_tests::servers::MariadbServer;
use persisting_message_bus_tests::topics::OrderPlaced;

use super::{consume, orders};

fn connect(server: &MariadbServer) -> MysqlConnection {
    MysqlConnection::establish(&server.url()).unwrap()
}

#[test]
fn a_restored_server_continues_where_the_dump_was_made() {
    let old = MariadbServer::start();
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
    let mut dump = old.command("mariadb-dump");
    let dump = dump.args(["--single-transaction", "bus"]).output().unwrap();
    assert!(dump.status.success());

    let new = MariadbServer::start();
    let mut restore = new.command("mariadb");
    let mut restore = restore.arg("bus").stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut restore.stdin.take().unwrap(), &dump.stdout).unwrap();
    assert!(restore.wait().unwrap().success());

    let mut bus = connect(&new);
    assert_eq!(consume(&mut bus), [1_000, 1_001, 1_002]);
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1_003))
        .unwrap();
    assert_eq!(consume(&mut bus), [1_003]);
}
