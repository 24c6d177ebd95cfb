//! Transactions that the server has ended early. A dispatch in such a transaction is refused.

use std::sync::Barrier;
use std::thread;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::BigInt;
use persisting_message_bus::backend::{MessageRepository, RawMessage, Slot, TransactionControl};
use persisting_message_bus::{Error, OnDuplicate};
use persisting_message_bus_tests::databases::{Database, Mariadb};
use persisting_message_bus_tests::topics::OrderPlaced;
use uuid::Uuid;

use super::{consume, orders};

fn place(bus: &mut MysqlConnection, order: u64) -> Result<(), Error> {
    orders()
        .dispatch(bus, &OrderPlaced::number(order))
        .map(drop)
}

fn place_several(bus: &mut MysqlConnection, orders_in_batch: usize) -> Result<(), Error> {
    let batch = (0..).take(orders_in_batch).map(OrderPlaced::number);
    orders().dispatch_batch(bus, batch).map(drop)
}

fn persist_on(bus: &mut MysqlConnection, topics: &[&'static str]) -> Result<(), Error> {
    let message = |topic: &&'static str| RawMessage {
        message_id: Uuid::now_v7(),
        topic: (*topic).into(),
        message_type: "OrderShipped".into(),
        message_version: 1,
        payload: r#"{"order":7}"#.to_owned(),
        headers: "{}".to_owned(),
        published_at: chrono::Utc::now(),
        correlation_id: None,
        key_slot: Slot::NONE,
    };
    let messages: Vec<_> = topics.iter().map(message).collect();
    bus.persist(&messages, OnDuplicate::Fail).map(drop)
}

type Publish = fn(&mut MysqlConnection) -> Result<(), Error>;

/// All ways to publish, also on topics without messages.
const WAYS: [(&str, Publish); 7] = [
    ("one", |bus| place(bus, 1)),
    ("a batch of one", |bus| place_several(bus, 1)),
    ("a batch", |bus| place_several(bus, 20)),
    ("a batch in several statements", |bus| {
        place_several(bus, 1_234)
    }),
    ("on several topics", |bus| {
        persist_on(bus, &["orders", "payments"])
    }),
    ("on a new topic", |bus| persist_on(bus, &["new"])),
    ("on several new topics", |bus| {
        persist_on(bus, &["a", "b", "c"])
    }),
];

fn count(bus: &mut MysqlConnection, sql: &str) -> i64 {
    diesel::dsl::sql::<BigInt>(&format!("SELECT count(*) FROM {sql}"))
        .get_result(bus)
        .unwrap()
}

/// A function that makes the server end the transaction of the connection, with the help of other
/// connections.
type End = fn(&Mariadb, &mut MysqlConnection);

const ENDS: [(&str, End); 5] = [
    ("a deadlock", be_the_victim_of_a_deadlock),
    ("TRUNCATE", |_, bus| {
        bus.batch_execute("TRUNCATE audit").unwrap()
    }),
    ("ALTER TABLE", |_, bus| {
        bus.batch_execute("ALTER TABLE audit ADD COLUMN note TEXT")
            .unwrap();
        bus.batch_execute("ALTER TABLE audit DROP COLUMN note")
            .unwrap();
    }),
    ("ROLLBACK", |_, bus| bus.batch_execute("ROLLBACK").unwrap()),
    ("COMMIT", |_, bus| bus.batch_execute("COMMIT").unwrap()),
];

/// Provokes a deadlock. The server rolls back the transaction that has written less.
fn be_the_victim_of_a_deadlock(database: &Mariadb, bus: &mut MysqlConnection) {
    fn take(connection: &mut MysqlConnection, id: u64) -> QueryResult<usize> {
        diesel::sql_query(format!(
            "UPDATE stock SET amount = amount + 1 WHERE id = {id}"
        ))
        .execute(connection)
    }
    let mut other = database.connect();
    let both_hold_one = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            other.begin().unwrap();
            for id in 3..1_000 {
                take(&mut other, id).unwrap();
            }
            take(&mut other, 2).unwrap();
            both_hold_one.wait();
            take(&mut other, 1).unwrap();
            other.rollback().unwrap();
        });
        take(bus, 1).unwrap();
        both_hold_one.wait();
        let ignored = take(bus, 2).unwrap_err();
        assert!(
            matches!(
                ignored,
                DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, _)
            ),
            "{ignored:?}"
        );
    });
}

fn create() -> Mariadb {
    let database = Mariadb::create();
    let mut bus = database.connect();
    bus.batch_execute(
        "CREATE TABLE audit (id INTEGER);
         CREATE TABLE stock (id INTEGER PRIMARY KEY, amount INTEGER);
         INSERT INTO stock SELECT seq, 0 FROM seq_1_to_1000",
    )
    .unwrap();
    place(&mut bus, 0).unwrap();
    assert_eq!(consume(&mut bus), [0]);
    database
}

#[test]
fn a_dispatch_is_refused_when_the_server_has_ended_the_transaction() {
    for (end, ended_by) in ENDS {
        let database = create();
        let mut bus = database.connect();
        for (way, publish) in WAYS {
            bus.begin().unwrap();
            bus.batch_execute("INSERT INTO audit VALUES (1)").unwrap();
            ended_by(&database, &mut bus);
            let slots = count(&mut bus, "message_publisher_slots");
            let error = publish(&mut bus).unwrap_err();
            let text = format!("{error:#}");
            let topic = ["\"orders\"", "\"new\"", "\"a\""];
            assert!(topic.iter().any(|topic| text.contains(topic)), "{text}");
            for part in [
                "ended this transaction",
                "Nothing was written",
                "deadlock",
                "TRUNCATE",
            ] {
                assert!(text.contains(part), "{part} in {text}");
            }
            // A retry would repeat what was committed early.
            assert!(!error.is_retryable() && !error.is_disconnected(), "{text}");
            bus.rollback().unwrap();
            assert_eq!(count(&mut bus, "public_messages"), 1, "{way}, after {end}");
            assert_eq!(count(&mut bus, "message_publisher_slots"), slots);
        }
        // The connection is usable again.
        let again: Result<_, Error> = bus.in_transaction(|bus| place(bus, 1));
        again.unwrap();
        assert_eq!(consume(&mut bus), [1], "after {end}");
    }
}

/// The server has rolled back the message that was dispatched before the deadlock.
#[test]
fn messages_dispatched_before_an_ignored_deadlock_are_not_committed() {
    let database = create();
    let mut bus = database.connect();
    let committed: Result<(), Error> = bus.in_transaction(|bus| {
        place(bus, 1)?;
        be_the_victim_of_a_deadlock(&database, bus);
        place(bus, 2)
    });
    committed.unwrap_err();
    assert!(consume(&mut bus).is_empty());
}

#[test]
fn a_continuing_transaction_is_not_refused() {
    let database = create();
    let mut bus = database.connect();
    for (way, publish) in WAYS {
        bus.begin().unwrap();
        publish(&mut bus).unwrap();
        // A savepoint is rolled back, and a failing statement is undone on its own.
        let undone = bus.transaction(|bus| {
            place(bus, 3).unwrap();
            bus.batch_execute("INSERT INTO stock VALUES (1, 1)")
        });
        assert!(undone.is_err());
        publish(&mut bus).unwrap_or_else(|error| panic!("{way}: {error:#}"));
        bus.commit().unwrap();
    }
}
