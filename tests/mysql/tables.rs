//! Tables: created by migrations, with other names, and pruned.

use std::sync::Barrier;
use std::thread;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use persisting_message_bus::backend::MessageSource;
use persisting_message_bus::sql::{TableSchema, migrate};
use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, Position};
use persisting_message_bus_tests::databases::{Database, Mariadb};
use persisting_message_bus_tests::strange_names;
use persisting_message_bus_tests::topics::invoices::{InvoiceSent, Invoices};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use super::{consume, orders};

#[test]
fn migrating_twice_does_nothing_more() {
    let database = Mariadb::create();
    let mut connection = database.connect();
    orders()
        .dispatch(&mut connection, &OrderPlaced::number(1))
        .unwrap();
    migrate(&mut connection).unwrap();
    assert_eq!(consume(&mut connection), [1]);
}

#[test]
fn many_processes_can_migrate_at_once() {
    for _ in 0..5 {
        let database = Mariadb::create();
        database
            .connect()
            .batch_execute(
                "DROP TABLE public_messages, message_consumer_state, message_consumer_segments, message_failures, message_inbox, message_publisher_slots,
                    __diesel_schema_migrations",
            )
            .unwrap();
        let start = Barrier::new(8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut connection = database.connect();
                    start.wait();
                    migrate(&mut connection).unwrap();
                });
            }
        });
    }
}

#[test]
fn tables_and_columns_can_have_any_name() {
    let database = Mariadb::create();
    let mut connection = database.connect();
    connection
        .batch_execute(
            r#"CREATE TABLE `my "``Events``` (
                `the ID` bigint AUTO_INCREMENT PRIMARY KEY, `order` char(36) NOT NULL UNIQUE,
                `select` varchar(255) NOT NULL, `Type` varchar(255) NOT NULL, `body` json NOT NULL,
                `meta;--` json NOT NULL, `at` datetime(6) NOT NULL, KEY `by topic` (`select`, `the ID`));
            CREATE TABLE `cursors` (`name` varchar(255), `stream` varchar(255), `at` bigint,
                `by` varchar(255), `times` bigint NOT NULL DEFAULT 0, `until` datetime(6),
                `again?` bigint, `{rest}` datetime(6), `since?` datetime(6), `does` text,
                `beware of` bigint, `anchor at` bigint, `anchor id` char(36), `from` text,
                `reads what` text, `cut, into` text,
                PRIMARY KEY (`name`, `stream`));
            CREATE TABLE `parts; of` (`part` varchar(268), `stream` varchar(255),
                `name?` varchar(255), `from {slot}` smallint, `to` smallint, `at` bigint,
                `by` varchar(255), `times` bigint NOT NULL DEFAULT 0, `until` datetime(6),
                `again?` bigint, `{rest}` datetime(6), `since?` datetime(6), `does` text,
                `beware of` bigint, `anchor at` bigint, `anchor id` char(36), `from` text,
                `reads what` text, PRIMARY KEY (`part`, `stream`));
            CREATE TABLE `in; box` (`name` varchar(255), `from` varchar(255), `order` varchar(255), `at` datetime(6),
                PRIMARY KEY (`name`, `from`, `order`));
            CREATE TABLE `too bad` (`name` varchar(255), `stream` varchar(255), `at` bigint,
                `order` char(36), `Type` varchar(255), `is` varchar(16), `times` int, `why?` text,
                `from` datetime(6), `to` datetime(6), `slot?` smallint,
                PRIMARY KEY (`name`, `stream`, `at`));
            CREATE TABLE `who?` (`what` varchar(255), `number` int, PRIMARY KEY (`what`, `number`))"#,
        )
        .unwrap();
    let schema = strange_names::schema();
    strange_names::use_all(&mut schema.bind(&mut connection));

    let mut transactional = MessageConsumer::<Orders>::transactional(
        "transactional",
        |connection: &mut MysqlConnection, _: &Message<Orders>| {
            connection.batch_execute("SELECT 1")?;
            Ok(())
        },
    );
    let handled = transactional.handle_page(&mut schema.bind(&mut connection));
    assert_eq!(handled.unwrap(), 3);
}

#[test]
fn a_cursor_after_pruned_messages_is_valid() {
    let database = Mariadb::create();
    let mut connection = database.connect();
    let batch = (0..3).map(OrderPlaced::number);
    orders().dispatch_batch(&mut connection, batch).unwrap();
    assert_eq!(consume(&mut connection), [0, 1, 2]);
    connection
        .batch_execute("DELETE FROM public_messages")
        .unwrap();
    assert!(consume(&mut connection).is_empty());
    orders()
        .dispatch(&mut connection, &OrderPlaced::number(3))
        .unwrap();
    assert_eq!(connection.current_head("orders").unwrap(), Position::new(4));
    assert_eq!(consume(&mut connection), [3]);
}

#[test]
fn a_version_needs_a_column() {
    let database = Mariadb::create();
    let mut bus = database.connect();
    let mut schema = TableSchema::default();
    schema.messages.message_version = None;
    let sent = InvoiceSent {
        invoice: 1,
        cents: 100,
        currency: "EUR".to_owned(),
    };
    let error = MessageDispatcher::<Invoices>::new()
        .dispatch(&mut schema.bind(&mut bus), &sent)
        .unwrap_err();
    assert!(
        error.to_string().contains("no column for its version"),
        "{error}"
    );
    assert_eq!(bus.current_head("invoices").unwrap(), Position::START);
}
