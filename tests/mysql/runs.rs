//! The observations of a reader are valid while the server runs, on all of its connections.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use persisting_message_bus::backend::{MessageSource, SlotObservations, TransactionControl};
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::sql::migrate;
use persisting_message_bus::{Error, Message, MessageConsumer, Position};
use persisting_message_bus_tests::databases::{Database, Mariadb};
use persisting_message_bus_tests::servers::MariadbServer;
use persisting_message_bus_tests::statements::Log;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use super::orders;

fn connect(server: &MariadbServer) -> MysqlConnection {
    MysqlConnection::establish(&server.url()).unwrap()
}

fn place(connection: &mut MysqlConnection, order: u64) {
    orders()
        .dispatch(connection, &OrderPlaced::number(order))
        .unwrap();
}

fn run_of(connection: &mut MysqlConnection) -> Option<String> {
    connection
        .high_water_mark("orders", &mut SlotObservations::default())
        .unwrap();
    diesel::dsl::sql::<diesel::sql_types::Nullable<Text>>(
        "SELECT CAST(@persisting_message_bus_run AS CHAR)",
    )
    .get_result(connection)
    .unwrap()
}

/// Starts a server that writes commits to the disk only on demand, and otherwise loses them when it
/// is killed.
fn start_forgetful() -> MariadbServer {
    MariadbServer::start_with(&[
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-flush-log-at-timeout=2700",
    ])
}

/// Writes all commits up to now to the disk.
fn flush(connection: &mut MysqlConnection) {
    connection
        .batch_execute(
            "SET GLOBAL innodb_flush_log_at_trx_commit = 1;
             CREATE OR REPLACE TABLE flushed (id INTEGER); INSERT INTO flushed VALUES (1);
             SET GLOBAL innodb_flush_log_at_trx_commit = 0",
        )
        .unwrap();
}

/// After the crash, publishers overlap, and one of them has a position below the last one that the
/// reader saw before it.
#[test]
fn nothing_is_skipped_when_a_server_forgets_its_last_commits() {
    let mut server = start_forgetful();
    let mut bus = connect(&server);
    migrate(&mut bus).unwrap();
    let mut seen = Vec::new();
    let handler = |message: &Message<Orders>| -> Result<(), HandlerError> {
        seen.push(message.payload().order());
        Ok(())
    };
    let mut consumer = MessageConsumer::<Orders>::external("all", handler);
    place(&mut bus, 0);
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 1);
    flush(&mut bus);
    for order in 1..=10 {
        place(&mut bus, order);
    }
    let seen_up_to = bus.last_position().unwrap();
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 10);

    server.kill();
    server.start_again();
    let [mut slow, mut fast, mut bus] = [(); 3].map(|()| connect(&server));
    let kept = bus.last_position().unwrap();
    assert!(kept < seen_up_to, "the server has lost no commits");
    slow.begin().unwrap();
    place(&mut slow, 20);
    for order in 21..=40 {
        place(&mut fast, order);
    }
    assert!(bus.last_position().unwrap() > seen_up_to);
    while consumer.handle_page(&mut bus).unwrap() > 0 {}
    slow.commit().unwrap();
    while consumer.handle_page(&mut bus).unwrap() > 0 {}
    drop(consumer);
    assert_eq!(seen[..11], (0..=10).collect::<Vec<_>>());
    let again = seen[11..].iter().copied().filter(|order| *order > 10);
    assert_eq!(again.collect::<Vec<_>>(), (20..=40).collect::<Vec<_>>());
}

#[test]
fn a_run_has_one_name_in_all_sessions_and_the_next_one_has_another() {
    let mut server = MariadbServer::start();
    let [mut one, mut other] = [(); 2].map(|()| connect(&server));
    migrate(&mut one).unwrap();
    let first = run_of(&mut one).expect("a name");
    assert_eq!(run_of(&mut other), Some(first.clone()));
    // As the statements with which a pool resets a session.
    one.batch_execute("SET @persisting_message_bus_run = NULL")
        .unwrap();
    assert_eq!(run_of(&mut one), Some(first.clone()));
    server.kill();
    server.start_again();
    let second = run_of(&mut connect(&server)).expect("a name");
    assert_ne!(second, first);
}

/// Observations on one connection count on the others. At least one publisher is in flight at every
/// moment.
#[test]
fn a_reader_that_takes_another_connection_each_time_is_not_starved() {
    let database = Mariadb::create();
    let [mut one, mut other] = [(); 2].map(|()| database.connect());
    place(&mut one, 0);
    let mut observations = SlotObservations::default();
    let mut read = || -> Result<Position, Error> {
        database
            .connect()
            .high_water_mark("orders", &mut observations)
    };
    assert_eq!(read().unwrap(), Position::new(1));
    one.begin().unwrap();
    place(&mut one, 1);
    for order in 2..20 {
        other.begin().unwrap();
        place(&mut other, order);
        one.commit().unwrap();
        std::mem::swap(&mut one, &mut other);
        // The mark is not below the messages that were committed before the last read but one.
        let high_water_mark = read().unwrap().get();
        assert!(
            high_water_mark + 3 > i64::try_from(order).unwrap(),
            "{high_water_mark}, {order}"
        );
    }
    one.commit().unwrap();
}

#[test]
fn a_session_asks_once_for_the_run_of_the_server() {
    let database = Mariadb::create();
    let mut bus = database.connect();
    place(&mut bus, 0);
    let mut statements = || {
        let log = Log::default();
        log.watch(&mut bus);
        bus.high_water_mark("orders", &mut SlotObservations::default())
            .unwrap();
        log.statements()
    };
    let first = statements();
    assert!(
        first.iter().any(|sql| sql.starts_with("SET @")),
        "{first:#?}"
    );
    let second = statements();
    assert_eq!(second.len(), 2, "{second:#?}");
}
