//! A connection on which USE selects another database.

use std::cell::Cell;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool};
use diesel::sql_types::BigInt;
use persisting_message_bus::backend::{MessageSource, SlotObservations, TransactionControl};
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::{
    Error, FailurePolicy, Inbox, InboxKey, Message, MessageConsumer, RetryPolicy,
};
use persisting_message_bus_tests::consume;
use persisting_message_bus_tests::databases::{Database, Mariadb, Server};
use persisting_message_bus_tests::statements::Log;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use super::orders;

fn name(database: &Mariadb) -> String {
    database.url().rsplit('/').next().unwrap().to_owned()
}

fn select(bus: &mut MysqlConnection, database: &Mariadb) {
    bus.batch_execute(&format!("USE {}", name(database)))
        .unwrap();
}

fn place(bus: &mut MysqlConnection, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        orders()
            .dispatch(bus, &OrderPlaced::number(number))
            .unwrap();
    }
}

/// Counts the rows of a table that meet a condition.
fn count(database: &Mariadb, rows: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {rows}");
    diesel::dsl::sql::<BigInt>(&sql)
        .get_result(&mut database.connect())
        .unwrap()
}

#[test]
fn all_statements_follow_use() {
    let [one, other] = [(); 2].map(|()| Mariadb::create());
    let mut bus = one.connect();
    place(&mut bus, [1]);
    assert_eq!(consume(&mut bus), [1]);
    // The text of the first dispatch is prepared, that of the batch is not.
    for selected in ["USE", "SELECT 1; use", "/* a comment */ USE"] {
        let to_other = format!("{selected} {}", name(&other));
        bus.batch_execute(&to_other).unwrap();
        place(&mut bus, [2]);
        let batch = [3, 4].map(OrderPlaced::number);
        orders().dispatch_batch(&mut bus, batch).unwrap();
        bus.in_transaction(|bus| -> Result<(), Error> {
            orders().dispatch(bus, &OrderPlaced::number(5))?;
            Ok(())
        })
        .unwrap();
        assert_eq!(consume(&mut bus), [2, 3, 4, 5]);

        select(&mut bus, &one);
        place(&mut bus, [6]);
        assert_eq!(consume(&mut bus), [6]);
    }
    let messages = "public_messages";
    assert_eq!([count(&one, messages), count(&other, messages)], [4, 12]);
    let state = "message_consumer_state WHERE lease_epoch > 0";
    assert_eq!([count(&one, state), count(&other, state)], [1, 1]);
    let slots = "message_publisher_slots WHERE topic = 'orders'";
    assert_eq!([count(&one, slots), count(&other, slots)], [65, 65]);
}

#[test]
fn use_before_the_first_dispatch_decides() {
    let [one, other] = [(); 2].map(|()| Mariadb::create());
    let mut bus = one.connect();
    select(&mut bus, &other);
    place(&mut bus, [1, 2]);
    assert_eq!(consume(&mut bus), [1, 2]);
    assert_eq!(count(&one, "public_messages"), 0);
}

#[test]
fn a_pooled_connection_is_used_in_the_database_in_which_it_comes_back() {
    let [one, other] = [(); 2].map(|()| Mariadb::create());
    let pool = Pool::builder()
        .max_size(1)
        .build(ConnectionManager::<MysqlConnection>::new(one.url()))
        .unwrap();
    let place = |order| {
        orders()
            .dispatch(&mut pool.get().unwrap(), &OrderPlaced::number(order))
            .unwrap();
    };
    place(1);
    select(&mut pool.get().unwrap(), &other);
    place(2);
    assert_eq!(consume(&mut pool.get().unwrap()), [2]);
    assert_eq!(count(&one, "public_messages"), 1);
}

/// The consumer's own database does not change, even though the handler's message fails.
#[test]
fn a_handler_that_leaves_another_database_selected_fails() {
    let [one, other] = [(); 2].map(|()| Mariadb::create());
    let mut bus = one.connect();
    place(&mut bus, 1..=3);
    let to_other = format!("USE {}", name(&other));
    let handled = Cell::new(0);
    let handler =
        |bus: &mut MysqlConnection, message: &Message<Orders>| -> Result<(), HandlerError> {
            handled.set(handled.get() + 1);
            bus.batch_execute("INSERT INTO message_inbox VALUES ('a', 'b', uuid(), now())")?;
            if message.payload().order() == 2 {
                bus.batch_execute(&to_other)?;
                orders().dispatch(bus, &OrderPlaced::number(20))?;
            }
            Ok(())
        };
    let retry = RetryPolicy::default()
        .max_attempts(1)
        .on_exhausted(FailurePolicy::Park);
    let mut consumer = MessageConsumer::<Orders>::transactional("all", handler).retry(retry);
    let mut texts = Vec::new();
    for _ in 0..5 {
        if let Err(error) = consumer.handle_page(&mut bus) {
            texts.push(format!("{error:#}"));
        }
    }
    drop(consumer);
    let parked = "message_failures WHERE state = 'parked' AND position = 2 AND error LIKE '%USE%'";
    assert_eq!(count(&one, parked), 1, "{texts:?}");
    assert_eq!(count(&one, "message_inbox"), 2);
    assert_eq!(count(&one, "message_consumer_state WHERE `cursor` = 3"), 1);
    for table in ["public_messages", "message_inbox", "message_consumer_state"] {
        assert_eq!(count(&other, table), 0, "{table}");
    }
}

#[test]
fn a_handler_that_selects_its_database_again_succeeds() {
    let [one, other] = [(); 2].map(|()| Mariadb::create());
    let mut bus = one.connect();
    place(&mut bus, 1..=3);
    let there_and_back = format!(
        "USE {}; CREATE TEMPORARY TABLE t (id INTEGER); USE {}",
        name(&other),
        name(&one)
    );
    let handler = |bus: &mut MysqlConnection, _: &Message<Orders>| -> Result<(), HandlerError> {
        bus.batch_execute(&there_and_back)?;
        bus.batch_execute(&format!("DROP TEMPORARY TABLE {}.t", name(&other)))?;
        Ok(())
    };
    let mut consumer = MessageConsumer::<Orders>::transactional("all", handler);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 3);
}

#[test]
fn a_transaction_in_which_another_database_is_selected_is_rolled_back() {
    let [one, other] = [(); 2].map(|()| Mariadb::create());
    let mut bus = one.connect();
    place(&mut bus, [1]);
    let error = bus
        .in_transaction(|bus| -> Result<(), Error> {
            orders().dispatch(bus, &OrderPlaced::number(2))?;
            select(bus, &other);
            Ok(())
        })
        .unwrap_err();
    assert!(format!("{error:#}").contains("USE"), "{error:#}");
    place(&mut bus, [3]);
    assert_eq!(consume(&mut bus), [1, 3]);
    assert_eq!(count(&other, "public_messages"), 0);
}

/// The library cannot watch this connection.
#[test]
fn a_reader_on_a_connection_with_an_instrumentation_notices_use() {
    let [one, other] = [(); 2].map(|()| Mariadb::create());
    let mut bus = one.connect();
    Log::default().watch(&mut bus);
    place(&mut bus, [1]);
    let read =
        |bus: &mut MysqlConnection| bus.high_water_mark("orders", &mut SlotObservations::default());
    read(&mut bus).unwrap();
    select(&mut bus, &other);
    bus.batch_execute("SET @persisting_message_bus_asked = 0")
        .unwrap();
    let error = read(&mut bus).unwrap_err();
    assert!(format!("{error:#}").contains("USE"), "{error:#}");
}

/// The nested transaction is in the other database, and the page is not.
#[test]
fn a_nested_transaction_in_another_database_leaves_the_page_in_its_own() {
    let [one, other] = [(); 2].map(|()| Mariadb::create());
    let mut bus = one.connect();
    place(&mut bus, 1..=3);
    let inbox = Inbox::new(InboxKey {
        consumer: "all",
        source: "hooks",
    });
    let inbox = inbox.unwrap();
    let handler =
        |bus: &mut MysqlConnection, message: &Message<Orders>| -> Result<(), HandlerError> {
            select(bus, &other);
            let id = message.message_id().to_string();
            let first = inbox.process_once(bus, &id, |_| Ok::<_, Error>(()))?;
            assert!(first.is_some());
            select(bus, &one);
            Ok(())
        };
    let mut consumer = MessageConsumer::<Orders>::transactional("all", handler);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 3);
    drop(consumer);
    let inboxes = [&one, &other].map(|database| count(database, "message_inbox"));
    assert_eq!(inboxes, [0, 3]);
    assert_eq!(count(&one, "message_consumer_state WHERE `cursor` = 3"), 1);
    assert_eq!(count(&other, "message_consumer_state"), 0);
}

#[test]
fn a_nested_transaction_does_not_hide_that_another_database_is_selected() {
    let [one, other] = [(); 2].map(|()| Mariadb::create());
    let mut bus = one.connect();
    place(&mut bus, [1]);
    let handler = |bus: &mut MysqlConnection, _: &Message<Orders>| -> Result<(), HandlerError> {
        select(bus, &other);
        bus.in_transaction(|_| Ok::<_, Error>(()))?;
        Ok(())
    };
    let mut consumer = MessageConsumer::<Orders>::transactional("all", handler);
    let error = consumer.handle_page(&mut bus).unwrap_err();
    assert!(format!("{error:#}").contains("USE"), "{error:#}");
    drop(consumer);
    assert_eq!(count(&one, "message_failures"), 1);
    assert_eq!(count(&other, "message_consumer_state"), 0);
}
