//! Transactions: waiting for locks, and rollbacks.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use persisting_message_bus::backend::{MessageConsumerState, MessageRepository, MessageSource};
use persisting_message_bus::operate::ConsumerKey;
use persisting_message_bus::{Error, Message, MessageConsumer, MessageDispatcher, Position};
use persisting_message_bus_tests::databases::{Database, Sqlite};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders, Paid, Payments};

use super::{ignore, orders};

#[test]
fn a_transaction_that_read_first_is_told_to_begin_immediately() {
    let database = Sqlite::create();
    let (mut one, mut other) = (database.connect(), database.connect());
    let error = one
        .transaction(|one| {
            one.current_head("orders")?;
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
fn a_transactional_handler_can_read_first() {
    let database = Sqlite::create();
    let (mut bus, mut other) = (database.connect(), database.connect());
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    other.batch_execute("PRAGMA busy_timeout = 0").unwrap();
    let mut consumer = MessageConsumer::<Orders>::transactional(
        "payer",
        |bus: &mut SqliteConnection, _: &Message<Orders>| {
            bus.current_head("payments")?;
            let payments = MessageDispatcher::<Payments>::new();
            let kept_out = payments.dispatch(&mut other, &Paid { order: 2 });
            assert!(kept_out.unwrap_err().is_retryable());
            payments.dispatch(bus, &Paid { order: 1 })?;
            Ok(())
        },
    );
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 1);
}

#[test]
fn a_message_fails_when_its_handler_ignores_an_error_that_rolled_back() {
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
                // The handler assumes that the order has already been paid.
                Err(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => Ok(()),
                result => Ok(result.map(drop)?),
            }
        },
    );
    let error = consumer.handle_page(&mut bus).unwrap_err();
    assert_eq!(error.position(), Some(Position::new(2)), "{error:?}");
    let mut other = database.connect();
    let status = other
        .stored_consumer(ConsumerKey {
            consumer: "payer",
            topic: "orders",
        })
        .unwrap()
        .unwrap();
    assert_eq!(status.cursor, Some(Position::new(1)), "nothing is skipped");
}

#[test]
fn an_idle_consumer_writes_nothing_and_waits_for_no_writer() {
    let database = Sqlite::create();
    let (mut bus, mut writer) = (database.connect(), database.connect());
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore);
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 1);
    bus.batch_execute("PRAGMA busy_timeout = 0").unwrap();
    writer
        .immediate_transaction(|_| {
            assert_eq!(consumer.handle_page(&mut bus)?, 0);
            Ok::<_, Error>(())
        })
        .unwrap();
    let status = bus
        .stored_consumer(ConsumerKey {
            consumer: "all",
            topic: "orders",
        })
        .unwrap()
        .unwrap();
    assert_eq!(status.lease_epoch, 1);
}

#[test]
fn a_connection_is_a_repository_as_a_trait_object_too() {
    let database = Sqlite::create();
    let mut connection = database.connect();
    let repository: &mut dyn MessageRepository = &mut connection;
    orders()
        .dispatch(repository, &OrderPlaced::number(1))
        .unwrap();
    let source: &mut dyn MessageSource = &mut connection;
    assert_eq!(source.current_head("orders").unwrap(), Position::new(1));
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
    assert_eq!(connection.current_head("orders").unwrap(), Position::START);
}
