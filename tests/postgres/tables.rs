//! Tables: created by migrations, with other names, and pruned.

use std::sync::Barrier;
use std::thread;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use persisting_message_bus::backend::MessageSource;
use persisting_message_bus::sql::{TableSchema, migrate};
use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher, Position};
use persisting_message_bus_tests::databases::{Database, Postgres};
use persisting_message_bus_tests::strange_names;
use persisting_message_bus_tests::topics::invoices::{InvoiceSent, Invoices};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use super::{consume, orders};

#[test]
fn migrating_twice_does_nothing_more() {
    let database = Postgres::create();
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
        let database = Postgres::create();
        database
            .connect()
            .batch_execute(
                "DROP TABLE public_messages, message_consumer_state, message_consumer_segments, message_failures, message_inbox, __diesel_schema_migrations",
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
fn schemas_of_one_database_are_independent() {
    let (one, other) = (Postgres::create(), Postgres::create());
    let (mut one, mut other) = (one.connect(), other.connect());
    orders()
        .dispatch(&mut one, &OrderPlaced::number(1))
        .unwrap();
    orders()
        .dispatch(&mut other, &OrderPlaced::number(2))
        .unwrap();
    assert_eq!(consume(&mut one), [1]);
    assert_eq!(consume(&mut other), [2]);
}

#[test]
fn tables_and_columns_can_have_any_name() {
    let database = Postgres::create();
    let mut connection = database.connect();
    connection
        .batch_execute(
            r#"CREATE TABLE "my ""`Events`" (
                "the ID" bigserial PRIMARY KEY, "order" uuid NOT NULL UNIQUE,
                "select" text NOT NULL, "Type" text NOT NULL, "body" json NOT NULL,
                "meta;--" json NOT NULL, "at" timestamptz NOT NULL);
            CREATE TABLE "cursors" ("name" text, "stream" text, "at" bigint, "by" text,
                "times" bigint NOT NULL DEFAULT 0, "until" timestamptz, "again?" bigint,
                "{rest}" timestamptz, "since?" timestamptz, "does" text,
                "beware of" bigint, "anchor at" bigint, "anchor id" text, "from" text,
                "reads what" text, "cut, into" text,
                PRIMARY KEY ("name", "stream"));
            CREATE TABLE "parts; of" ("part" text, "stream" text, "name?" text,
                "from {slot}" smallint, "to" smallint, "at" bigint, "by" text,
                "times" bigint NOT NULL DEFAULT 0, "until" timestamptz, "again?" bigint,
                "{rest}" timestamptz, "since?" timestamptz, "does" text, "beware of" bigint,
                "anchor at" bigint, "anchor id" text, "from" text, "reads what" text,
                PRIMARY KEY ("part", "stream"));
            CREATE TABLE "in; box" ("name" text, "from" text, "order" text, "at" timestamptz,
                PRIMARY KEY ("name", "from", "order"));
            CREATE TABLE "too bad" ("name" text, "stream" text, "at" bigint, "order" text,
                "Type" text, "is" text, "times" bigint, "why?" text, "from" timestamptz,
                "to" timestamptz, "slot?" smallint, PRIMARY KEY ("name", "stream", "at"))"#,
        )
        .unwrap();
    let schema = strange_names::schema();
    strange_names::use_all(&mut schema.bind(&mut connection));

    let mut transactional = MessageConsumer::<Orders>::transactional(
        "transactional",
        |connection: &mut PgConnection, _: &Message<Orders>| {
            connection.batch_execute("CREATE TABLE IF NOT EXISTS effects (id integer)")?;
            Ok(())
        },
    );
    let handled = transactional.handle_page(&mut schema.bind(&mut connection));
    assert_eq!(handled.unwrap(), 3);
}

#[test]
fn a_cursor_after_pruned_messages_is_valid() {
    let database = Postgres::create();
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
    let database = Postgres::create();
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
