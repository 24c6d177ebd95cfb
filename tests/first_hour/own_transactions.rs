//! Consumers in a transaction that has dispatched, as in a test that is never committed.

use diesel::{Connection, PgConnection, SqliteConnection};
use persisting_message_bus::testing::Scenario;
use persisting_message_bus::{Message, MessageConsumer, MessageDispatcher};
use persisting_message_bus_tests::consume_as;
use persisting_message_bus_tests::databases::{Database, Mariadb, Postgres, Sqlite};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders, Paid, Payments};

use super::{assert_says, ignore, orders};

macro_rules! a_test_transaction_works {
    ($database:ident, $connection:ident) => {{
        let database = $database::create();
        let placed = || [1, 2].map(|number| Orders::from(OrderPlaced::number(number)));
        let pay = |bus: &mut $connection, message: &Message<Orders>| {
            let order = message.payload().order();
            MessageDispatcher::<Payments>::new().dispatch(bus, &Paid { order })?;
            Ok(())
        };
        for _ in 0..2 {
            let mut bus = database.connect();
            bus.begin_test_transaction().unwrap();
            Scenario::on(bus)
                .given(placed())
                .when(MessageConsumer::<Orders>::transactional("payer", pay))
                .then_dispatched([1, 2].map(|order| Payments::from(Paid { order })))
                .then(|bus| assert_eq!(consume_as("mailer", bus), [1, 2]));
        }
        assert!(consume_as("mailer", &mut database.connect()).is_empty());
    }};
}

#[test]
fn a_test_transaction_works_on_sqlite() {
    a_test_transaction_works!(Sqlite, SqliteConnection);
}

#[test]
fn a_test_transaction_works_on_postgres() {
    a_test_transaction_works!(Postgres, PgConnection);
}

#[test]
fn a_test_transaction_of_mariadb_is_a_clear_error() {
    let database = Mariadb::create();
    let mut bus = database.connect();
    bus.begin_test_transaction().unwrap();
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    let mut consumer = MessageConsumer::<Orders>::external("all", ignore);
    let error = consumer.handle_new_messages(&mut bus).unwrap_err();
    assert_says(
        &error,
        &["read messages outside of it", "a database of its own"],
    );
}

/// The transaction's own messages are no reason to skip those of others.
#[test]
fn messages_of_other_publishers_hold_back_a_test_transaction() {
    let database = Postgres::create();
    let (mut own, mut other) = (database.connect(), database.connect());
    own.begin_test_transaction().unwrap();
    let place = |bus: &mut PgConnection, number| {
        orders()
            .dispatch(bus, &OrderPlaced::number(number))
            .unwrap();
    };
    place(&mut own, 1);
    other.begin_test_transaction().unwrap();
    place(&mut other, 2);
    place(&mut own, 3);
    assert_eq!(consume_as("all", &mut own), [1]);
    drop(other);
    persisting_message_bus_tests::waiting::wait_until("the other session has ended", || {
        consume_as("all", &mut own) == [3]
    });
}

/// The cursor is stored in the transaction that has dispatched the messages.
#[test]
fn a_cursor_after_own_messages_is_rolled_back_with_them() {
    let database = Postgres::create();
    let mut bus = database.connect();
    bus.begin_test_transaction().unwrap();
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    assert_eq!(consume_as("all", &mut bus), [1]);
    drop(bus);
    let mut bus = database.connect();
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(2))
        .unwrap();
    assert_eq!(consume_as("all", &mut bus), [2]);
}
