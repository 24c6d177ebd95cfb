//! Waiting for publisher slots, and the sessions and servers on which they cannot be trusted.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use persisting_message_bus::backend::{
    MessageRepository, MessageSource, SlotObservations, TransactionControl,
};
use persisting_message_bus::{Message, MessageConsumer, OnDuplicate, Position};
use persisting_message_bus_tests::databases::{Database, Mariadb};
use persisting_message_bus_tests::servers::MariadbServer;
use persisting_message_bus_tests::statements::Log;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders, raw_message};
use persisting_message_bus_tests::waiting::{wait_until, wait_until_every};

use super::{consume, orders};

fn place(connection: &mut MysqlConnection, order: u64) {
    orders()
        .dispatch(connection, &OrderPlaced::number(order))
        .unwrap();
}

/// As after a copy of the tables without their rows.
#[test]
fn a_topic_is_published_and_read_although_the_rows_of_the_migration_are_missing() {
    for is_read_first in [false, true] {
        let database = Mariadb::create();
        let mut bus = database.connect();
        bus.batch_execute("DELETE FROM message_publisher_slots")
            .unwrap();
        if is_read_first {
            let message = "INSERT INTO public_messages
                (message_id, topic, message_type, payload, headers, published_at)
                VALUES (uuid(), 'orders', 'OrderPlaced', '{\"order\": 1, \"note\": \"\"}', '{}', now())";
            bus.batch_execute(message).unwrap();
        } else {
            place(&mut bus, 1);
        }
        wait_until("the message is read", || consume(&mut bus) == [1]);
    }
}

#[test]
fn first_publishers_of_a_topic_come_one_after_the_other() {
    for isolation in ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"] {
        let database = Mariadb::create();
        let start = Barrier::new(8);
        thread::scope(|scope| {
            for order in 0..8 {
                let (database, start) = (&database, &start);
                scope.spawn(move || {
                    let mut connection = database.connect();
                    connection
                        .batch_execute(&format!(
                            "SET SESSION TRANSACTION ISOLATION LEVEL {isolation}"
                        ))
                        .unwrap();
                    start.wait();
                    let mut publish = || {
                        connection.in_transaction(|connection| {
                            // The snapshot is older than the topic.
                            connection.batch_execute("SELECT 1 FROM message_consumer_state")?;
                            orders().dispatch(connection, &OrderPlaced::number(order))
                        })
                    };
                    let mut published = publish();
                    // On SERIALIZABLE, searching for slots locks the gap into which they are
                    // inserted.
                    while isolation == "SERIALIZABLE"
                        && published.as_ref().is_err_and(|error| error.is_retryable())
                    {
                        published = publish();
                    }
                    published.unwrap();
                });
            }
        });
        let mut delivered = consume(&mut database.connect());
        delivered.sort_unstable();
        assert_eq!(delivered, (0..8).collect::<Vec<_>>(), "{isolation}");
    }
}

#[test]
fn a_first_publisher_that_rolls_back_does_not_disturb_others() {
    for isolation in ["READ COMMITTED", "REPEATABLE READ"] {
        let database = Mariadb::create();
        let mut first = database.connect();
        first.begin().unwrap();
        place(&mut first, 0);
        let mut delivered = thread::scope(|scope| {
            for order in 1..8 {
                let mut connection = database.connect();
                connection
                    .batch_execute(&format!(
                        "SET SESSION TRANSACTION ISOLATION LEVEL {isolation}"
                    ))
                    .unwrap();
                scope.spawn(move || place(&mut connection, order));
            }
            wait_until_waiting(&database, 7);
            first.rollback().unwrap();
            database.connect()
        });
        let mut delivered = consume(&mut delivered);
        delivered.sort_unstable();
        assert_eq!(delivered, (1..8).collect::<Vec<_>>(), "{isolation}");
    }
}

/// Waits until this number of connections wait for a lock.
pub fn wait_until_waiting(database: &Mariadb, connections: i64) {
    let mut observer = database.connect();
    let waiting = "SELECT count(*) FROM information_schema.innodb_trx
        JOIN information_schema.processlist ON trx_mysql_thread_id = id
        WHERE trx_state = 'LOCK WAIT' AND db = database()";
    // The server refreshes this table only if it was not queried for 100 ms.
    let interval = Duration::from_millis(150);
    wait_until_every(interval, "the connections wait for a lock", || {
        let waiting = diesel::dsl::sql::<diesel::sql_types::BigInt>(waiting);
        waiting.get_result::<i64>(&mut observer).unwrap() >= connections
    });
}

/// Records the statements of a connection from now on.
pub fn watched(connection: &mut MysqlConnection) -> Log {
    let log = Log::default();
    log.watch(connection);
    log
}

/// Waits until a publisher has waited for one slot, and waits for another.
fn wait_until_tried_again(log: &Log) {
    let waits = |text: &&String| text.ends_with("FOR UPDATE");
    wait_until("the publisher waits for two slots", || {
        log.statements().iter().filter(waits).count() >= 2
    });
}

#[test]
fn a_publisher_whose_snapshot_is_older_than_the_topic_does_not_wait() {
    let database = Mariadb::create();
    let [mut one, mut other, mut third] = [(); 3].map(|()| database.connect());
    one.begin().unwrap();
    one.batch_execute("SELECT 1 FROM message_publisher_slots")
        .unwrap();
    place(&mut other, 1);
    third.begin().unwrap();
    place(&mut third, 2);
    place(&mut one, 3);
    one.commit().unwrap();
    third.commit().unwrap();
    assert_eq!(consume(&mut other), [1, 2, 3]);
}

#[test]
fn the_sixty_fifth_publisher_waits() {
    let database = Mariadb::create();
    place(&mut database.connect(), 0);
    let mut publishers: Vec<_> = (1..=64)
        .map(|order| {
            let mut publisher = database.connect();
            publisher.begin().unwrap();
            place(&mut publisher, order);
            publisher
        })
        .collect();
    let mut last = database.connect();
    last.batch_execute("SET innodb_lock_wait_timeout = 1")
        .unwrap();
    let error = orders()
        .dispatch(&mut last, &OrderPlaced::number(65))
        .unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    assert!(
        error.to_string().contains("slots of topic \"orders\""),
        "{error}"
    );
    last.batch_execute("SET innodb_lock_wait_timeout = 50")
        .unwrap();
    thread::scope(|scope| {
        scope.spawn(|| place(&mut last, 65));
        for publisher in &mut publishers {
            publisher.commit().unwrap();
        }
    });
    let mut delivered = consume(&mut last);
    delivered.sort_unstable();
    assert_eq!(delivered, (0..=65).collect::<Vec<_>>());
}

#[test]
fn a_publisher_that_meets_a_reader_blocks_no_others() {
    let database = Mariadb::create();
    let [mut reader, mut one, mut other] = [(); 3].map(|()| database.connect());
    place(&mut reader, 0);
    reader
        .batch_execute("BEGIN; SELECT slot FROM message_publisher_slots LOCK IN SHARE MODE")
        .unwrap();
    one.begin().unwrap();
    let log = watched(&mut one);
    thread::scope(|scope| {
        scope.spawn(|| place(&mut one, 1));
        wait_until_tried_again(&log);
        reader.batch_execute("COMMIT").unwrap();
    });
    // The publisher's transaction is open. Neither the first publisher of a new topic nor one that
    // meets another reader waits for it.
    other
        .batch_execute("SET innodb_lock_wait_timeout = 1")
        .unwrap();
    for topic in 0..100 {
        persist_on(&mut other, &format!("a topic {topic}"));
    }
    one.commit().unwrap();
    assert_eq!(consume(&mut reader), [0, 1]);
}

fn persist_on(bus: &mut MysqlConnection, topic: &str) {
    let message = raw_message(topic, "{}".to_owned());
    bus.persist(&[message], OnDuplicate::Fail).unwrap();
}

#[test]
fn slot_observations_of_one_database_do_not_count_on_another() {
    let (one, other) = (Mariadb::create(), Mariadb::create());
    let mut seen = Vec::new();
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        seen.push(message.payload().order());
        Ok(())
    });
    let mut bus = one.connect();
    for order in 0..5 {
        place(&mut bus, order);
    }
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 5);
    let [mut slow, mut fast] = [(); 2].map(|()| other.connect());
    place(&mut fast, 10);
    slow.begin().unwrap();
    place(&mut slow, 11);
    for order in 12..20 {
        place(&mut fast, order);
    }
    while consumer.handle_page(&mut fast).unwrap() > 0 {}
    slow.commit().unwrap();
    while consumer.handle_page(&mut fast).unwrap() > 0 {}
    drop(consumer);
    assert_eq!(seen[5..], (10..20).collect::<Vec<_>>());
}

#[test]
fn a_session_without_autocommit_is_not_read() {
    let database = Mariadb::create();
    let mut bus = database.connect();
    place(&mut bus, 1);
    bus.batch_execute("SET autocommit = 0").unwrap();
    let error = bus
        .high_water_mark("orders", &mut SlotObservations::default())
        .unwrap_err();
    assert!(format!("{error:#}").contains("autocommit"), "{error:#}");
}

#[test]
fn nothing_is_read_within_a_transaction() {
    let database = Mariadb::create();
    let mut bus = database.connect();
    place(&mut bus, 1);
    bus.begin().unwrap();
    let error = bus
        .high_water_mark("orders", &mut SlotObservations::default())
        .unwrap_err();
    assert!(!error.is_retryable());
    assert!(format!("{error:#}").contains("outside of it"), "{error:#}");
    bus.rollback().unwrap();
    assert_eq!(consume(&mut bus), [1]);
}

#[test]
fn a_read_only_server_is_not_read() {
    let server = MariadbServer::start();
    let mut bus = MysqlConnection::establish(&server.url()).unwrap();
    persisting_message_bus::sql::migrate(&mut bus).unwrap();
    place(&mut bus, 1);
    bus.batch_execute("SET GLOBAL read_only = 1").unwrap();
    let error = bus.current_head("orders").unwrap_err();
    assert!(format!("{error:#}").contains("read_only"), "{error:#}");
    bus.batch_execute("SET GLOBAL read_only = 0").unwrap();
    assert_eq!(bus.current_head("orders").unwrap(), Position::new(1));
}

#[test]
fn a_server_that_would_truncate_texts_is_not_written() {
    let database = Mariadb::create();
    let mut bus = database.connect();
    place(&mut bus, 1);
    bus.batch_execute("SET sql_mode = ''").unwrap();
    let error = orders()
        .dispatch(&mut bus, &OrderPlaced::number(2))
        .unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("STRICT_TRANS_TABLES"), "{text}");
    assert_eq!(consume(&mut bus), [1]);
}

#[test]
fn a_topic_without_publishers_does_not_stall_others() {
    use persisting_message_bus_tests::topics::{Ledger, OrderShipped};
    let database = Mariadb::create();
    let mut bus = database.connect();
    orders()
        .dispatch(&mut bus, &OrderShipped { order: 1 })
        .unwrap();
    let mut consumer = MessageConsumer::<Ledger>::external("ledger", |_: &Message<Ledger>| Ok(()));
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 1);
    drop(consumer);
}
