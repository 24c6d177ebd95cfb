//! Failing statements, and their effect on the transaction.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use persisting_message_bus::backend::{MessageConsumerState, TransactionControl};
use persisting_message_bus::operate::ConsumerKey;
use persisting_message_bus::{
    Error, Headers, Message, MessageConsumer, MessageDispatcher, OnDuplicate,
};
use persisting_message_bus_tests::databases::{Database, Postgres};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use uuid::Uuid;

use super::{consume, orders};

#[test]
fn the_cursor_is_rolled_back_when_a_handler_breaks_the_transaction() {
    let database = Postgres::create();
    let mut bus = database.connect();
    bus.batch_execute("CREATE TABLE paid (number bigint UNIQUE); INSERT INTO paid VALUES (2)")
        .unwrap();
    let batch = (1..4).map(OrderPlaced::number);
    orders().dispatch_batch(&mut bus, batch).unwrap();
    let mut consumer = MessageConsumer::<Orders>::transactional(
        "payer",
        |bus: &mut PgConnection, message: &Message<Orders>| {
            let insert = format!("INSERT INTO paid VALUES ({})", message.payload().order());
            match diesel::sql_query(insert).execute(bus) {
                // The handler assumes that the order has already been paid.
                Err(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => Ok(()),
                result => Ok(result.map(drop)?),
            }
        },
    );
    let error = consumer.handle_page(&mut bus).unwrap_err();
    assert!(!error.is_retryable(), "{error:?}");
    // Nothing is lost: the cursor matches the effects.
    let status = bus
        .stored_consumer(ConsumerKey {
            consumer: "payer",
            topic: "orders",
        })
        .unwrap()
        .unwrap();
    let cursor = status.cursor.map_or(0, |cursor| cursor.get());
    let paid: i64 = diesel::dsl::sql::<diesel::sql_types::BigInt>(
        "SELECT count(*) FROM paid WHERE number <> 2",
    )
    .get_result(&mut bus)
    .unwrap();
    assert_eq!(cursor, paid, "{error:?}");
}

#[test]
fn a_refused_message_leaves_the_transaction_usable() {
    let database = Postgres::create();
    let mut bus = database.connect();
    let id = Uuid::now_v7();
    let with_id = || Headers::new().with_message_id(id);
    bus.in_transaction(|bus| {
        let placed = OrderPlaced::number(1);
        orders().dispatch_with(bus, &placed, with_id())?;
        let error = orders().dispatch_with(bus, &placed, with_id()).unwrap_err();
        assert!(error.is_duplicate(), "{error:?}");
        orders().dispatch(bus, &OrderPlaced::number(2))
    })
    .unwrap();
    assert_eq!(consume(&mut bus), [1, 2]);
}

#[test]
fn a_violation_of_another_unique_index_is_no_duplicate() {
    let database = Postgres::create();
    let mut bus = database.connect();
    bus.batch_execute("CREATE UNIQUE INDEX ON public_messages (message_type)")
        .unwrap();
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    let error = orders()
        .dispatch(&mut bus, &OrderPlaced::number(2))
        .unwrap_err();
    assert!(!error.is_duplicate(), "{error:?}");
    let ignoring = MessageDispatcher::<Orders>::new().on_duplicate(OnDuplicate::Ignore);
    ignoring
        .dispatch(&mut bus, &OrderPlaced::number(3))
        .unwrap_err();
    assert_eq!(consume(&mut bus), [1]);
}

#[test]
fn serialization_failures_can_be_retried() {
    let database = Postgres::create();
    let [mut one, mut other] = [(); 2].map(|()| database.connect());
    one.batch_execute("CREATE TABLE stock (amount integer); INSERT INTO stock VALUES (1)")
        .unwrap();
    for connection in [&mut one, &mut other] {
        connection.begin().unwrap();
        connection
            .batch_execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SELECT * FROM stock")
            .unwrap();
    }
    for connection in [&mut one, &mut other] {
        connection
            .batch_execute("INSERT INTO stock VALUES (2)")
            .unwrap();
        orders()
            .dispatch(connection, &OrderPlaced::number(1))
            .unwrap();
    }
    one.commit().unwrap();
    let error = other.commit().unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    // The connection is usable again.
    let again: Result<_, Error> =
        other.in_transaction(|other| orders().dispatch(other, &OrderPlaced::number(2)));
    again.unwrap();
    assert_eq!(consume(&mut one), [1, 2]);
}

#[test]
fn a_lost_connection_is_reported_as_disconnected() {
    let database = Postgres::create();
    let [mut one, mut other] = [(); 2].map(|()| database.connect());
    let end = diesel::sql_query("SELECT pg_terminate_backend(pg_backend_pid())");
    let error = Error::from(end.execute(&mut one).unwrap_err());
    assert!(error.is_disconnected(), "{error:?}");
    let error = orders()
        .dispatch(&mut one, &OrderPlaced::number(1))
        .unwrap_err();
    assert!(error.is_disconnected() && error.is_retryable(), "{error:?}");
    orders()
        .dispatch(&mut other, &OrderPlaced::number(1))
        .unwrap();
}

#[test]
fn a_deadlock_can_be_retried() {
    let database = Postgres::create();
    let [mut one, mut other] = [(); 2].map(|()| database.connect());
    one.batch_execute(
        "CREATE TABLE stock (id integer, amount integer); INSERT INTO stock VALUES (1, 1), (2, 1)",
    )
    .unwrap();
    let take = |connection: &mut PgConnection, id: i32| {
        connection.batch_execute(&format!("UPDATE stock SET amount = 0 WHERE id = {id}"))
    };
    one.begin().unwrap();
    other.begin().unwrap();
    take(&mut one, 1).unwrap();
    take(&mut other, 2).unwrap();
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| take(&mut one, 2).map(|()| one.commit().unwrap()));
        let second = scope.spawn(|| take(&mut other, 1).map(|()| other.commit().unwrap()));
        (first.join().unwrap(), second.join().unwrap())
    });
    let victim = first.err().or(second.err()).expect("a victim");
    assert!(Error::from(victim).is_retryable());
}
