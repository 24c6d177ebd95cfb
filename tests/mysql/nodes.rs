//! Servers that exchange their changes with others: nodes of Galera, and replicas.

use std::net::TcpListener;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use persisting_message_bus::backend::{MessageSource, SlotObservations};
use persisting_message_bus::operate::{ConsumerKey, ConsumerStatus};
use persisting_message_bus::sql::{TableSchema, migrate};
use persisting_message_bus::{Error, Message, MessageConsumer, Position};
use persisting_message_bus_tests::servers::MariadbServer;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use persisting_message_bus_tests::waiting::wait_until;

use super::orders;

fn connect(server: &MariadbServer) -> MysqlConnection {
    MysqlConnection::establish(&server.url()).unwrap()
}

fn high_water_mark(bus: &mut impl MessageSource) -> Result<Position, Error> {
    bus.high_water_mark("orders", &mut SlotObservations::default())
}

/// Makes the session ask the server again, as it does after ten seconds.
fn ask_again(bus: &mut MysqlConnection) {
    bus.batch_execute("SET @persisting_message_bus_asked = 0")
        .unwrap();
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(read: Result<T, Error>, state: &str) {
    let error = read.unwrap_err();
    let text = format!("{error:#}");
    for part in [state, "\"orders\"", "skipped", "TableSchema::on_one_node"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!error.is_retryable(), "{error:?}");
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn start_galera() -> MariadbServer {
    let port = free_port();
    MariadbServer::start_with(&[
        "--wsrep-on=ON",
        "--wsrep-provider=/usr/lib/galera/libgalera_smm.so",
        "--wsrep-cluster-address=gcomm://",
        "--wsrep-node-address=127.0.0.1",
        &format!("--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:{port}"),
        "--binlog-format=ROW",
        "--innodb-autoinc-lock-mode=2",
    ])
}

#[test]
fn a_node_of_galera_is_not_read_unless_all_programs_use_it() {
    let server = start_galera();
    let mut bus = connect(&server);
    migrate(&mut bus).unwrap();
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    let state = "is a node of a Galera cluster";
    assert_refused(high_water_mark(&mut bus), state);
    assert_refused(bus.current_head("orders"), state);
    let key = ConsumerKey {
        consumer: "all",
        topic: "orders",
    };
    assert_refused(ConsumerStatus::read(&mut bus, key), state);
    let handler = |_: &Message<Orders>| Ok(());
    let mut consumer = MessageConsumer::<Orders>::external("all", handler);
    assert_refused(consumer.handle_page(&mut bus), state);

    let schema = TableSchema::default().on_one_node();
    let mut bus = schema.bind(&mut bus);
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 1);
    drop(consumer);
}

/// A primary and a server that can be written, with the same tables.
fn start_two() -> [MariadbServer; 2] {
    let primary = MariadbServer::start_with(&["--server-id=1", "--log-bin", "--binlog-format=ROW"]);
    let replica = MariadbServer::start_with(&["--server-id=2"]);
    connect(&primary)
        .batch_execute(
            "CREATE USER copy@'127.0.0.1' IDENTIFIED BY 'copy';
             GRANT REPLICATION SLAVE ON *.* TO copy@'127.0.0.1'; RESET MASTER",
        )
        .unwrap();
    migrate(&mut connect(&primary)).unwrap();
    [primary, replica]
}

fn replicate(name: &str, from: &MariadbServer) -> String {
    let port = from.url();
    let port = port.rsplit([':', '/']).nth(1).unwrap();
    format!(
        "CHANGE MASTER {name} TO master_host = '127.0.0.1', master_port = {port},
            master_user = 'copy', master_password = 'copy', master_use_gtid = slave_pos"
    )
}

fn applies(bus: &mut MysqlConnection) -> bool {
    diesel::dsl::sql::<diesel::sql_types::Text>(
        "SELECT variable_value FROM information_schema.global_status
         WHERE variable_name = 'Slaves_running'",
    )
    .get_result::<String>(bus)
    .unwrap()
        != "0"
}

#[test]
fn a_replica_that_can_be_written_is_not_read_while_it_applies_changes() {
    let [primary, replica] = start_two();
    let state = "applies the changes of another server";
    let mut bus = connect(&replica);
    // Several sources have names, and are not the default connection.
    for name in ["", "'one'"] {
        bus.batch_execute(&replicate(name, &primary)).unwrap();
        bus.batch_execute(&format!("START SLAVE {name}")).unwrap();
        wait_until("the replica applies changes", || applies(&mut bus));
        wait_until("the tables arrive", || {
            bus.batch_execute("SELECT 1 FROM message_publisher_slots")
                .is_ok()
        });
        assert_refused(high_water_mark(&mut connect(&replica)), state);
        let schema = TableSchema::default().on_one_node();
        high_water_mark(&mut schema.bind(&mut connect(&replica))).unwrap();
        // The primary is like any other server.
        high_water_mark(&mut connect(&primary)).unwrap();

        // A server that was a replica.
        bus.batch_execute(&format!("STOP SLAVE {name}")).unwrap();
        let mut reader = connect(&replica);
        high_water_mark(&mut reader).unwrap();

        // A session that has asked before notices a start.
        bus.batch_execute(&format!("START SLAVE {name}")).unwrap();
        wait_until("the replica applies changes", || applies(&mut bus));
        ask_again(&mut reader);
        assert_refused(high_water_mark(&mut reader), state);
        bus.batch_execute(&format!("STOP SLAVE {name}; RESET SLAVE {name} ALL"))
            .unwrap();
        ask_again(&mut reader);
        high_water_mark(&mut reader).unwrap();
    }
}
