//! What is special about SQLite.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use diesel::connection::{Instrumentation, InstrumentationEvent, SimpleConnection};
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use persisting_message_bus::diesel::{TableSchema, migrate};
use persisting_message_bus::{
    Error, HandlerError, Message, MessageConsumer, MessageConsumerState, MessageDispatcher,
    MessageRepository, MessageSource, Position,
};
use persisting_message_bus_tests::databases::{Database, Sqlite, connect_sqlite};
use persisting_message_bus_tests::topics::invoices::{InvoiceSent, Invoices};
use persisting_message_bus_tests::topics::{Closed, OrderPlaced, Orders, Paid, Payments};

fn orders() -> MessageDispatcher<Orders> {
    MessageDispatcher::new()
}

fn ignore<M>(_message: &M) -> Result<(), HandlerError> {
    Ok(())
}

#[test]
fn migrating_twice_does_nothing_more() {
    let database = Sqlite::create();
    let mut connection = database.connect();
    orders()
        .dispatch(&mut connection, &OrderPlaced::number(1))
        .unwrap();
    migrate(&mut connection).unwrap();
    assert_eq!(connection.safe_head("orders").unwrap(), Position::new(1));
}

#[test]
fn many_processes_may_migrate_at_once() {
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
fn tables_and_columns_may_have_any_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = connect_sqlite(folder.path().join("bus.db").to_str().unwrap());
    connection
        .batch_execute(
            r#"CREATE TABLE "my ""events""" (
                "the id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "order" TEXT NOT NULL UNIQUE,
                "select" TEXT NOT NULL, "type" TEXT NOT NULL, "body" TEXT NOT NULL,
                "meta;--" TEXT NOT NULL, "at" TEXT NOT NULL);
            CREATE TABLE "cursors" ("name" TEXT, "stream" TEXT, "at" INTEGER, "by" TEXT,
                "times" INTEGER NOT NULL DEFAULT 0, "until" TEXT, PRIMARY KEY ("name", "stream"))"#,
        )
        .unwrap();
    let mut schema = TableSchema::default();
    schema.messages.table = "my \"events\"".into();
    schema.messages.id = "the id".into();
    schema.messages.message_id = "order".into();
    schema.messages.topic = "select".into();
    schema.messages.message_type = "type".into();
    schema.messages.message_version = None;
    schema.messages.payload = "body".into();
    schema.messages.headers = "meta;--".into();
    schema.messages.published_at = "at".into();
    schema.consumer_state.table = "cursors".into();
    schema.consumer_state.consumer = "name".into();
    schema.consumer_state.topic = "stream".into();
    schema.consumer_state.cursor = "at".into();
    schema.consumer_state.lease_owner = "by".into();
    schema.consumer_state.lease_epoch = "times".into();
    schema.consumer_state.lease_expires_at = "until".into();

    let batch = (0..3).map(OrderPlaced::number);
    orders()
        .dispatch_batch(&mut schema.on(&mut connection), batch)
        .unwrap();
    let mut external = MessageConsumer::<Closed>::external("external", ignore);
    let handled = external.handle_new_messages(&mut schema.on(&mut connection));
    assert_eq!(handled.unwrap(), 0);
    let mut transactional = MessageConsumer::<Orders>::transactional(
        "transactional",
        |connection: &mut SqliteConnection, _: &Message<Orders>| {
            connection.batch_execute("CREATE TABLE IF NOT EXISTS effects (id)")?;
            Ok(())
        },
    );
    let handled = transactional.handle_new_messages(&mut schema.on(&mut connection));
    assert_eq!(handled.unwrap(), 3);
    let last = schema.on(&mut connection).last_position().unwrap();
    assert_eq!(last, Position::new(3));
}

#[test]
fn a_pruned_position_is_not_handed_out_again() {
    let database = Sqlite::create();
    let mut connection = database.connect();
    let batch = (0..3).map(OrderPlaced::number);
    orders().dispatch_batch(&mut connection, batch).unwrap();
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore);
    assert_eq!(consumer.handle_new_messages(&mut connection).unwrap(), 3);
    connection
        .batch_execute("DELETE FROM public_messages")
        .unwrap();
    assert_eq!(consumer.handle_new_messages(&mut connection).unwrap(), 0);
    orders()
        .dispatch(&mut connection, &OrderPlaced::number(3))
        .unwrap();
    assert_eq!(connection.safe_head("orders").unwrap(), Position::new(4));
    assert_eq!(consumer.handle_new_messages(&mut connection).unwrap(), 1);
}

#[test]
fn a_transaction_that_read_first_is_told_to_begin_immediately() {
    let database = Sqlite::create();
    let (mut one, mut other) = (database.connect(), database.connect());
    let error = one
        .transaction(|one| {
            one.safe_head("orders")?;
            orders().dispatch(&mut other, &OrderPlaced::number(1))?;
            orders().dispatch(one, &OrderPlaced::number(2))
        })
        .unwrap_err();
    assert!(error.is_retryable());
    assert!(
        error.to_string().contains("immediate_transaction"),
        "{error}"
    );
    orders()
        .dispatch(&mut one, &OrderPlaced::number(3))
        .unwrap();
}

#[test]
fn a_transactional_handler_may_read_first() {
    let database = Sqlite::create();
    let (mut bus, mut other) = (database.connect(), database.connect());
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    other.batch_execute("PRAGMA busy_timeout = 0").unwrap();
    let mut consumer = MessageConsumer::<Orders>::transactional(
        "payer",
        |bus: &mut SqliteConnection, _: &Message<Orders>| {
            bus.safe_head("payments")?;
            let payments = MessageDispatcher::<Payments>::new();
            let kept_out = payments.dispatch(&mut other, &Paid { order: 2 });
            assert!(kept_out.unwrap_err().is_retryable());
            payments.dispatch(bus, &Paid { order: 1 })?;
            Ok(())
        },
    );
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 1);
}

#[test]
fn a_handler_that_makes_the_database_roll_back_takes_the_cursor_along() {
    let database = Sqlite::create();
    let mut bus = database.connect();
    bus.batch_execute("CREATE TABLE paid (number INTEGER UNIQUE ON CONFLICT ROLLBACK)")
        .unwrap();
    bus.batch_execute("INSERT INTO paid VALUES (2)").unwrap();
    let batch = (1..4).map(OrderPlaced::number);
    orders().dispatch_batch(&mut bus, batch).unwrap();
    let mut consumer = MessageConsumer::<Orders>::transactional(
        "payer",
        |bus: &mut SqliteConnection, message: &Message<Orders>| {
            let insert = format!("INSERT INTO paid VALUES ({})", message.payload().order());
            match diesel::sql_query(insert).execute(bus) {
                // It has been paid, the handler thinks.
                Err(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => Ok(()),
                result => Ok(result.map(drop)?),
            }
        },
    );
    assert!(consumer.handle_new_messages(&mut bus).is_err());
    let mut other = database.connect();
    let status = other.consumer_status("payer", "orders").unwrap().unwrap();
    assert_eq!(status.cursor, None, "nothing is skipped");
}

#[test]
fn an_idle_consumer_writes_nothing_and_waits_for_nobody() {
    let database = Sqlite::create();
    let (mut bus, mut writer) = (database.connect(), database.connect());
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 1);
    bus.batch_execute("PRAGMA busy_timeout = 0").unwrap();
    writer
        .immediate_transaction(|_| {
            assert_eq!(consumer.handle_new_messages(&mut bus)?, 0);
            Ok::<_, Error>(())
        })
        .unwrap();
    let status = bus.consumer_status("all", "orders").unwrap().unwrap();
    assert_eq!(status.lease_epoch, 1);
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
        .dispatch(&mut schema.on(&mut bus), &sent)
        .unwrap_err();
    assert!(
        error.to_string().contains("no column for its version"),
        "{error}"
    );
    assert_eq!(bus.safe_head("invoices").unwrap(), Position::START);
}

#[test]
fn a_table_without_autoincrement_is_refused_where_it_matters() {
    let database = Sqlite::create();
    let mut bus = database.connect();
    bus.batch_execute(
        "CREATE TABLE copy AS SELECT * FROM public_messages;
        INSERT INTO copy SELECT 1, 'x', 'orders', 'OrderPlaced', 1, '{}', '{}', '2026-01-01T00:00:00Z'",
    )
    .unwrap();
    let mut schema = TableSchema::default();
    schema.messages.table = "copy".into();
    let error = schema.on(&mut bus).last_position().unwrap_err();
    assert!(error.to_string().contains("AUTOINCREMENT"), "{error}");
    schema.messages.table = "PUBLIC_messages".into();
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    assert_eq!(
        schema.on(&mut bus).last_position().unwrap(),
        Position::new(1)
    );
}

#[test]
fn a_broken_row_stops_before_it_and_says_where() {
    for (column, value, expected) in [
        ("message_id", "'x'", "a UUID"),
        ("message_id", "x'07'", "a UUID"),
        ("message_version", "'one'", "an integer"),
        ("message_version", "-1", "a version from 1"),
        ("message_version", "0", "a version from 1"),
        ("payload", "CAST(x'22ff22' AS TEXT)", "UTF-8"),
        ("headers", "CAST(x'ff' AS TEXT)", "UTF-8"),
        ("published_at", "'yesterday'", "a time"),
    ] {
        let database = Sqlite::create();
        let mut connection = database.connect();
        let batch = (0..3).map(OrderPlaced::number);
        orders().dispatch_batch(&mut connection, batch).unwrap();
        let update = format!("UPDATE public_messages SET {column} = {value} WHERE id = 2");
        connection.batch_execute(&update).unwrap();

        let mut seen = 0;
        let mut consumer = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| {
            seen += 1;
            Ok(())
        });
        for _ in 0..2 {
            let error = consumer.handle_new_messages(&mut connection).unwrap_err();
            assert!(error.is_bad_message(), "{column} = {value}: {error:?}");
            assert_eq!(error.position(), Some(Position::new(2)));
            let text = format!("{error:#}");
            for part in ["\"all\"", "\"orders\"", "position 2", column, expected] {
                assert!(text.contains(part), "{part} in {text}");
            }
        }
        drop(consumer);
        assert_eq!(seen, 1);
    }
}

#[test]
fn times_as_sqlite_writes_them_are_read() {
    let database = Sqlite::create();
    let mut connection = database.connect();
    orders()
        .dispatch(&mut connection, &OrderPlaced::number(1))
        .unwrap();
    connection
        .batch_execute("UPDATE public_messages SET published_at = datetime('2026-03-01 12:00:00')")
        .unwrap();
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        assert_eq!(
            message.time_of_recording().to_rfc3339(),
            "2026-03-01T12:00:00+00:00"
        );
        Ok(())
    });
    assert_eq!(consumer.handle_new_messages(&mut connection).unwrap(), 1);
}

#[test]
fn a_connection_is_a_repository_as_a_trait_object_too() {
    let database = Sqlite::create();
    let mut connection = database.connect();
    let repository: &mut dyn MessageRepository = &mut connection;
    orders()
        .dispatch(repository, &OrderPlaced::number(1))
        .unwrap();
    assert_eq!(repository.safe_head("orders").unwrap(), Position::new(1));
}

#[test]
fn an_error_of_diesel_passes_through_the_callers_transaction() {
    let database = Sqlite::create();
    let mut connection = database.connect();
    let result: Result<(), Error> = connection.immediate_transaction(|connection| {
        orders().dispatch(connection, &OrderPlaced::number(1))?;
        diesel::sql_query("INSERT INTO nowhere VALUES (1)").execute(connection)?;
        Ok(())
    });
    let text = format!("{:#}", result.unwrap_err());
    assert!(text.contains("no such table: nowhere"), "{text}");
    assert_eq!(connection.safe_head("orders").unwrap(), Position::START);
}

/// What a connection runs, and what it keeps prepared.
#[derive(Debug)]
enum Seen {
    Run(String),
    Kept(String),
}

struct Observer(Sender<Seen>);

impl Instrumentation for Observer {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        let seen = match event {
            InstrumentationEvent::StartQuery { query, .. } => Seen::Run(query.to_string()),
            InstrumentationEvent::CacheQuery { sql, .. } => Seen::Kept(sql.to_owned()),
            _ => return,
        };
        self.0.send(seen).expect("somebody who looks");
    }
}

#[test]
fn every_statement_is_prepared_once() {
    let database = Sqlite::create();
    let mut connection = database.connect();
    let work = |connection: &mut SqliteConnection| {
        for size in [1, 2, 7, 100, 1_000, 1_023] {
            let batch = (0..size).map(OrderPlaced::number);
            orders().dispatch_batch(connection, batch).unwrap();
        }
        let mut external = MessageConsumer::<Closed>::external("external", ignore);
        external.handle_new_messages(connection).unwrap();
        let mut transactional = MessageConsumer::<Orders>::transactional(
            "transactional",
            |_: &mut SqliteConnection, message: &Message<Orders>| ignore(message),
        );
        while transactional.handle_new_messages(connection).unwrap() > 0 {}
    };
    let (sender, seen) = channel();
    connection.set_instrumentation(Observer(sender));
    work(&mut connection);
    let first: Vec<Seen> = seen.try_iter().collect();
    work(&mut connection);
    let second: Vec<Seen> = seen.try_iter().collect();

    let mut kept = BTreeSet::new();
    for seen in &first {
        if let Seen::Kept(text) = seen {
            assert!(kept.insert(text.as_str()), "prepared twice: {text}");
        }
    }
    for seen in first.iter().chain(&second) {
        if let Seen::Run(text) = seen {
            let (text, _binds) = text.split_once(" -- binds").unwrap_or((text, ""));
            let of_transactions = ["BEGIN", "COMMIT", "SAVEPOINT", "RELEASE"];
            let transaction = of_transactions.iter().any(|start| text.starts_with(start));
            assert!(transaction || kept.contains(text), "not kept: {text}");
        }
    }
    assert!(kept.len() > 10);
    assert!(
        second.iter().all(|seen| matches!(seen, Seen::Run(_))),
        "{second:?}"
    );
}
