//! Publishing by a single statement that is its own transaction: when its slot is held, and the
//! fallback when one statement is not enough.

use std::sync::{Arc, Mutex};
use std::thread;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus::sql::TableSchema;
use persisting_message_bus::{Message, MessageConsumer};
use persisting_message_bus_tests::databases::{Database, Mariadb};
use persisting_message_bus_tests::statements::Log;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use persisting_message_bus_tests::waiting::wait_until;

use super::{consume, orders};

fn place(connection: &mut MysqlConnection, order: u64) {
    orders()
        .dispatch(connection, &OrderPlaced::number(order))
        .unwrap();
}

fn number(connection: &mut MysqlConnection, sql: &str) -> i64 {
    diesel::dsl::sql::<BigInt>(&format!("SELECT {sql}"))
        .get_result(connection)
        .unwrap()
}

/// Makes a publisher pause before or after it inserts a row, while another publisher overtakes it.
/// Returns the orders that were delivered during the pause, and those after it.
fn overtaken(time: &str, slowly: std::ops::Range<u64>) -> [Vec<u64>; 2] {
    let database = Mariadb::create();
    let [mut gate, mut reader, mut slow, mut fast] = [(); 4].map(|()| database.connect());
    gate.batch_execute(&format!(
        "CREATE TRIGGER pause {time} INSERT ON public_messages FOR EACH ROW
            BEGIN IF @pauses THEN DO get_lock(database(), 60); END IF; END"
    ))
    .unwrap();
    place(&mut fast, 0);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let handled = Arc::clone(&seen);
    let mut consumer = MessageConsumer::<Orders>::external("all", move |message: &Message<_>| {
        let message: &Message<Orders> = message;
        handled.lock().unwrap().push(message.payload().order());
        Ok(())
    });
    let mut read = || {
        while consumer.handle_page(&mut reader).unwrap() > 0 {}
        std::mem::take(&mut *seen.lock().unwrap())
    };
    assert_eq!(read(), [0]);

    assert_eq!(number(&mut gate, "get_lock(database(), 0)"), 1);
    slow.batch_execute("SET @pauses = 1").unwrap();
    let meanwhile = thread::scope(|scope| {
        scope.spawn(|| {
            let batch = slowly.map(OrderPlaced::number);
            orders().dispatch_batch(&mut slow, batch).unwrap();
        });
        wait_until_paused(&mut gate);
        place(&mut fast, 2);
        let meanwhile = read();
        assert_eq!(number(&mut gate, "release_lock(database())"), 1);
        meanwhile
    });
    [meanwhile, read()]
}

fn wait_until_paused(observer: &mut MysqlConnection) {
    let paused = "(SELECT count(*) FROM information_schema.processlist
        WHERE db = database() AND state = 'User lock')";
    wait_until("a publisher pauses", || number(observer, paused) > 0);
}

#[test]
fn a_publisher_that_has_its_position_is_waited_for() {
    assert_eq!(overtaken("AFTER", 1..2), [vec![], vec![1, 2]]);
    assert_eq!(overtaken("AFTER", 10..13), [vec![], vec![10, 11, 12, 2]]);
}

#[test]
fn a_publisher_has_its_slot_before_its_position() {
    assert_eq!(overtaken("BEFORE", 1..2), [vec![], vec![2, 1]]);
    assert_eq!(overtaken("BEFORE", 10..13), [vec![], vec![2, 10, 11, 12]]);
}

/// Returns the statements of a dispatch.
fn statements_of_dispatch(bus: &mut MysqlConnection) -> Vec<String> {
    let log = Log::default();
    log.watch(bus);
    place(bus, 1);
    log.statements()
}

/// Returns the statements of a batch.
fn statements_of_batch(bus: &mut MysqlConnection, size: u64) -> Vec<String> {
    let log = Log::default();
    log.watch(bus);
    let batch = (1..=size).map(OrderPlaced::number);
    assert_eq!(orders().dispatch_batch(bus, batch).unwrap() as u64, size);
    log.statements()
}

#[test]
fn a_batch_of_a_usual_size_takes_one_statement_and_stays_together() {
    let database = Mariadb::create();
    let mut bus = database.connect();
    place(&mut bus, 0);
    let sizes = [2, 5, 32, 50, 64, 100, 200, 256, 500, 512, 1_000];
    for size in sizes {
        let statements = statements_of_batch(&mut bus, size);
        assert_eq!(statements.len(), 1, "{size}: {statements:#?}");
    }
    let expected = sizes.into_iter().flat_map(|size| 1..=size);
    let expected: Vec<u64> = std::iter::once(0).chain(expected).collect();
    assert_eq!(consume(&mut bus), expected);
}

#[test]
fn a_batch_of_a_usual_size_takes_one_insert_in_a_transaction() {
    let database = Mariadb::create();
    let mut bus = database.connect();
    place(&mut bus, 0);
    bus.begin().unwrap();
    for size in [32, 50, 64, 512, 1_000] {
        let statements = statements_of_batch(&mut bus, size);
        let [slot, insert] = &statements[..] else {
            unreachable!("{size}: {statements:#?}");
        };
        assert!(slot.contains("SKIP LOCKED") && insert.starts_with("INSERT"));
    }
    bus.commit().unwrap();
}

#[test]
fn a_batch_of_an_unusual_size_takes_few_statements_in_one_transaction() {
    let database = Mariadb::create();
    let mut bus = database.connect();
    place(&mut bus, 0);
    for (size, parts) in [(33, 2), (77, 2), (300, 2), (1_234, 4), (2_000, 2)] {
        let statements = statements_of_batch(&mut bus, size);
        assert_eq!(statements[0], "BEGIN", "{statements:#?}");
        assert!(statements[1].contains("SKIP LOCKED"), "{statements:#?}");
        let parts = statements.len() - 3 == parts;
        assert!(parts, "{size}: {statements:#?}");
    }
}

#[test]
fn a_message_takes_one_statement() {
    let database = Mariadb::create();
    let mut bus = database.connect();
    place(&mut bus, 0);
    let statements = statements_of_dispatch(&mut bus);
    assert_eq!(statements.len(), 1, "{statements:#?}");
    assert_eq!(consume(&mut bus), [0, 1]);
}

#[test]
fn a_publisher_takes_another_slot_when_its_own_is_held() {
    let database = Mariadb::create();
    let [mut one, mut other] = [(); 2].map(|()| database.connect());
    place(&mut one, 0);
    let id = number(&mut other, "connection_id()");
    one.batch_execute(&format!(
        "BEGIN; SELECT 1 FROM message_publisher_slots
            WHERE topic = 'orders' AND slot = {id} % 64 FOR UPDATE"
    ))
    .unwrap();
    let statements = statements_of_dispatch(&mut other);
    // After the last slot, a transaction searches from the first slot on.
    let is_last = id % 64 == 63;
    assert!(statements.len() == 2 || is_last, "{statements:#?}");
    one.batch_execute("COMMIT").unwrap();
    assert_eq!(consume(&mut one), [0, 1]);
}

#[test]
fn a_table_with_a_nullable_topic_gets_no_message_without_one() {
    let database = Mariadb::create();
    let mut bus = database.connect();
    bus.batch_execute(
        "ALTER TABLE public_messages DROP PRIMARY KEY, MODIFY topic VARCHAR(255),
            ADD KEY topic (topic, id)",
    )
    .unwrap();
    let mut schema = TableSchema::default();
    schema.messages.topic_index = "topic".into();
    // The topic has no slots yet.
    orders()
        .dispatch(&mut schema.bind(&mut bus), &OrderPlaced::number(1))
        .unwrap();
    let lost = "(SELECT count(*) FROM public_messages WHERE topic IS NULL)";
    assert_eq!(number(&mut bus, lost), 0);
}

#[test]
fn a_session_without_autocommit_is_committed() {
    let database = Mariadb::create();
    let [mut one, mut other] = [(); 2].map(|()| database.connect());
    place(&mut one, 0);
    one.batch_execute("SET autocommit = 0").unwrap();
    place(&mut one, 1);
    assert_eq!(consume(&mut other), [0, 1]);
}

#[test]
fn inserts_that_depend_on_locks_are_not_logged_as_statements() {
    let database = Mariadb::create();
    let mut bus = database.connect();
    place(&mut bus, 0);
    bus.batch_execute("SET binlog_format = STATEMENT").unwrap();
    let statements = statements_of_dispatch(&mut bus);
    let insert = statements
        .iter()
        .rfind(|statement| statement.starts_with("INSERT"));
    assert!(!insert.unwrap().contains("SKIP LOCKED"), "{statements:#?}");
    assert_eq!(consume(&mut bus), [0, 1]);
}
