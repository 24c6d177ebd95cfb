//! Tables: created by migrations, with other names, and pruned.

use std::sync::Barrier;
use std::thread;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use persisting_message_bus::backend::MessageSource;
use persisting_message_bus::sql::{TableSchema, migrate};
use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, Position};
use persisting_message_bus_tests::databases::{Database, Sqlite, connect_sqlite};
use persisting_message_bus_tests::strange_names;
use persisting_message_bus_tests::topics::invoices::{InvoiceSent, Invoices};
use persisting_message_bus_tests::topics::{Closed, OrderPlaced, Orders};

use super::{ignore, orders};

#[test]
fn migrating_twice_does_nothing_more() {
    let database = Sqlite::create();
    let mut connection = database.connect();
    orders()
        .dispatch(&mut connection, &OrderPlaced::number(1))
        .unwrap();
    migrate(&mut connection).unwrap();
    assert_eq!(connection.current_head("orders").unwrap(), Position::new(1));
}

#[test]
fn many_processes_can_migrate_at_once() {
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bus.db");
        let path = path.to_str().unwrap();
        let start = Barrier::new(8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    let mut connection = connect_sqlite(path);
                    migrate(&mut connection).unwrap();
                });
            }
        });
    }
}

#[test]
fn tables_and_columns_can_have_any_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = connect_sqlite(folder.path().join("bus.db").to_str().unwrap());
    connection
        .batch_execute(
            r#"CREATE TABLE "my ""`Events`" (
                "the ID" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "order" TEXT NOT NULL UNIQUE,
                "select" TEXT NOT NULL, "Type" TEXT NOT NULL, "body" TEXT NOT NULL,
                "meta;--" TEXT NOT NULL, "at" TEXT NOT NULL);
            CREATE TABLE "cursors" ("name" TEXT, "stream" TEXT, "at" INTEGER, "by" TEXT,
                "times" INTEGER NOT NULL DEFAULT 0, "until" TEXT, "again?" INTEGER,
                "{rest}" TEXT, "since?" TEXT, "does" TEXT, "beware of" INTEGER,
                "anchor at" INTEGER, "anchor id" TEXT,
                "from" TEXT, "reads what" TEXT, "cut, into" TEXT, PRIMARY KEY ("name", "stream"));
            CREATE TABLE "parts; of" ("part" TEXT, "stream" TEXT, "name?" TEXT,
                "from {slot}" INTEGER, "to" INTEGER, "at" INTEGER, "by" TEXT,
                "times" INTEGER NOT NULL DEFAULT 0, "until" TEXT, "again?" INTEGER, "{rest}" TEXT,
                "since?" TEXT, "does" TEXT, "beware of" INTEGER, "anchor at" INTEGER,
                "anchor id" TEXT, "from" TEXT, "reads what" TEXT, PRIMARY KEY ("part", "stream"));
            CREATE TABLE "in; box" ("name" TEXT, "from" TEXT, "order" TEXT, "at" TEXT,
                PRIMARY KEY ("name", "from", "order"));
            CREATE TABLE "too bad" ("name" TEXT, "stream" TEXT, "at" INTEGER, "order" TEXT,
                "Type" TEXT, "is" TEXT, "times" INTEGER, "why?" TEXT, "from" TEXT, "to" TEXT,
                "slot?" INTEGER, PRIMARY KEY ("name", "stream", "at"))"#,
        )
        .unwrap();
    let schema = strange_names::schema();
    strange_names::use_all(&mut schema.bind(&mut connection));

    let mut external = MessageConsumer::<Closed>::external("external", ignore);
    let handled = external.handle_page(&mut schema.bind(&mut connection));
    assert_eq!(handled.unwrap(), 0);
    let mut transactional = MessageConsumer::<Orders>::transactional(
        "transactional",
        |connection: &mut SqliteConnection, _: &Message<Orders>| {
            connection.batch_execute("CREATE TABLE IF NOT EXISTS effects (id)")?;
            Ok(())
        },
    );
    let handled = transactional.handle_page(&mut schema.bind(&mut connection));
    assert_eq!(handled.unwrap(), 3);
    let last = schema.bind(&mut connection).last_position().unwrap();
    assert_eq!(last, Position::new(3));
}

#[test]
fn a_pruned_position_is_not_handed_out_again() {
    let database = Sqlite::create();
    let mut connection = database.connect();
    let batch = (0..3).map(OrderPlaced::number);
    orders().dispatch_batch(&mut connection, batch).unwrap();
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore);
    assert_eq!(consumer.handle_page(&mut connection).unwrap(), 3);
    connection
        .batch_execute("DELETE FROM public_messages")
        .unwrap();
    assert_eq!(consumer.handle_page(&mut connection).unwrap(), 0);
    orders()
        .dispatch(&mut connection, &OrderPlaced::number(3))
        .unwrap();
    assert_eq!(connection.current_head("orders").unwrap(), Position::new(4));
    assert_eq!(consumer.handle_page(&mut connection).unwrap(), 1);
}

#[test]
fn a_version_needs_a_column() {
    let database = Sqlite::create();
    let mut bus = database.connect();
    let mut schema = TableSchema::default();
    schema.messages.message_version = None;
    let invoices = MessageDispatcher::<Invoices>::new();
    let sent = InvoiceSent {
        invoice: 1,
        cents: 100,
        currency: "EUR".to_owned(),
    };
    let error = invoices
        .dispatch(&mut schema.bind(&mut bus), &sent)
        .unwrap_err();
    assert!(
        error.to_string().contains("no column for its version"),
        "{error}"
    );
    assert_eq!(bus.current_head("invoices").unwrap(), Position::START);
}

#[test]
fn a_table_without_autoincrement_is_refused_where_it_matters() {
    let database = Sqlite::create();
    let mut bus = database.connect();
    bus.batch_execute(
        "CREATE TABLE copy AS SELECT * FROM public_messages;
        INSERT INTO copy SELECT 1, 'x', 'orders', 'OrderPlaced', 1, NULL, -1, '{}', '{}', '2026-01-01T00:00:00Z'",
    )
    .unwrap();
    let mut schema = TableSchema::default();
    schema.messages.table = "copy".into();
    let error = schema.bind(&mut bus).last_position().unwrap_err();
    assert!(error.to_string().contains("AUTOINCREMENT"), "{error}");
    schema.messages.table = "PUBLIC_messages".into();
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    assert_eq!(
        schema.bind(&mut bus).last_position().unwrap(),
        Position::new(1)
    );
}

#[test]
fn gaps_are_passed_page_by_page() {
    let database = Sqlite::create();
    let mut connection = database.connect();
    let batch = (0..100).map(OrderPlaced::number);
    orders().dispatch_batch(&mut connection, batch).unwrap();
    connection
        .batch_execute("DELETE FROM public_messages WHERE id % 10 > 1 OR id BETWEEN 30 AND 70")
        .unwrap();
    let mut seen = Vec::new();
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        seen.push(message.position().get());
        Ok(())
    })
    .page_size(2);
    while consumer.handle_page(&mut connection).unwrap() > 0 {}
    drop(consumer);
    assert_eq!(seen, [1, 10, 11, 20, 21, 71, 80, 81, 90, 91, 100]);
}
