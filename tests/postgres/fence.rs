//! Nothing is read where the fence cannot be trusted.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use persisting_message_bus::Error;
use persisting_message_bus::backend::{MessageSource, TransactionControl};
use persisting_message_bus::sql::TableSchema;
use persisting_message_bus_tests::databases::{Database, Postgres, Server};
use persisting_message_bus_tests::topics::{OrderPlaced, Paid, Payments};

use super::{consume, orders};

fn refusal(connection: &mut PgConnection) -> String {
    let error: Error = connection.current_head("orders").unwrap_err();
    assert!(!error.is_retryable());
    format!("{error:#}")
}

#[test]
fn a_sequence_with_a_cache_is_refused() {
    let database = Postgres::create();
    let mut connection = database.connect();
    for (change, problem) in [
        ("CACHE 20", "CACHE 20"),
        ("CACHE 1 INCREMENT -1 MINVALUE -9", "INCREMENT -1"),
    ] {
        connection
            .batch_execute(&format!("ALTER SEQUENCE public_messages_id_seq {change}"))
            .unwrap();
        let text = refusal(&mut connection);
        for part in ["\"orders\"", problem, "ALTER SEQUENCE"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
    connection
        .batch_execute("ALTER SEQUENCE public_messages_id_seq CACHE 1 INCREMENT 1 MINVALUE 1")
        .unwrap();
    assert!(connection.current_head("orders").is_ok());
}

#[test]
fn a_column_without_a_sequence_is_refused_by_readers_and_publishers() {
    let database = Postgres::create();
    let mut connection = database.connect();
    connection
        .batch_execute("ALTER TABLE public_messages ALTER id DROP IDENTITY")
        .unwrap();
    assert!(refusal(&mut connection).contains("identity or a serial column"));
    let error = orders()
        .dispatch(&mut connection, &OrderPlaced::number(1))
        .unwrap_err();
    let text = format!("{error:#}");
    assert!(
        text.contains("the sequence of public_messages.id"),
        "{text}"
    );
}

#[test]
fn a_transaction_that_diesel_does_not_know_of_is_noticed() {
    let database = Postgres::create();
    let mut connection = database.connect();
    orders()
        .dispatch(&mut connection, &OrderPlaced::number(1))
        .unwrap();
    connection
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        .unwrap();
    assert!(refusal(&mut connection).contains("REPEATABLE READ"));
    connection.batch_execute("ROLLBACK").unwrap();
    assert_eq!(consume(&mut connection), [1]);
}

#[test]
fn a_missing_table_is_named() {
    let database = Postgres::create();
    let mut connection = database.connect();
    connection
        .batch_execute("DROP TABLE public_messages")
        .unwrap();
    assert!(refusal(&mut connection).contains("public_messages"));
}

#[test]
fn positions_beyond_31_bits_are_distinguished() {
    let database = Postgres::create();
    let [mut one, mut other, mut consumer] = [(); 3].map(|()| database.connect());
    for position in [2_147_483_646_i64, 4_294_967_294, 9_000_000_000_000] {
        one.batch_execute(&format!(
            "SELECT setval('public_messages_id_seq', {position})"
        ))
        .unwrap();
        one.begin().unwrap();
        orders()
            .dispatch(&mut one, &OrderPlaced::number(1))
            .unwrap();
        for order in 2..5 {
            orders()
                .dispatch(&mut other, &OrderPlaced::number(order))
                .unwrap();
        }
        assert!(consume(&mut consumer).is_empty());
        one.commit().unwrap();
        assert_eq!(consume(&mut consumer), [1, 2, 3, 4]);
    }
}

#[test]
fn foreign_advisory_locks_are_no_fences() {
    let database = Postgres::create();
    let [mut foreign, mut bus] = [(); 2].map(|()| database.connect());
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    foreign
        .batch_execute("SELECT pg_advisory_lock(0), pg_advisory_lock(0, 0), pg_advisory_lock(1, 7)")
        .unwrap();
    assert_eq!(consume(&mut bus), [1]);
}

#[test]
fn a_prepared_transaction_counts_for_its_own_topics_only() {
    let database = Postgres::create();
    let [mut foreign, mut one, mut other, mut consumer] = [(); 4].map(|()| database.connect());
    let id = database.url();
    let prepare = |connection: &mut PgConnection, what: &str| {
        connection
            .batch_execute(&format!("PREPARE TRANSACTION '{what} {id}'"))
            .unwrap();
    };
    foreign
        .batch_execute(
            "CREATE TABLE customers (id integer); BEGIN; INSERT INTO customers VALUES (1)",
        )
        .unwrap();
    prepare(&mut foreign, "customers");
    other.batch_execute("BEGIN").unwrap();
    let payments = persisting_message_bus::MessageDispatcher::<Payments>::new();
    payments.dispatch(&mut other, &Paid { order: 1 }).unwrap();
    prepare(&mut other, "payments");
    orders()
        .dispatch(&mut one, &OrderPlaced::number(1))
        .unwrap();
    assert_eq!(consume(&mut consumer), [1], "others stall it");

    one.batch_execute("BEGIN").unwrap();
    orders()
        .dispatch(&mut one, &OrderPlaced::number(2))
        .unwrap();
    prepare(&mut one, "orders");
    drop(one);
    orders()
        .dispatch(&mut other, &OrderPlaced::number(3))
        .unwrap();
    assert!(consume(&mut consumer).is_empty());
    for what in ["orders", "payments", "customers"] {
        consumer
            .batch_execute(&format!("COMMIT PREPARED '{what} {id}'"))
            .unwrap();
    }
    assert_eq!(consume(&mut consumer), [2, 3]);
}

#[test]
fn tables_of_one_database_have_fences_of_their_own() {
    let database = Postgres::create();
    let [mut one, mut other] = [(); 2].map(|()| database.connect());
    other
        .batch_execute("CREATE TABLE others (LIKE public_messages INCLUDING ALL)")
        .unwrap();
    let mut schema = TableSchema::default();
    schema.messages.table = "others".into();
    one.begin().unwrap();
    orders()
        .dispatch(&mut one, &OrderPlaced::number(1))
        .unwrap();
    let mut bus = schema.bind(&mut other);
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(2))
        .unwrap();
    assert_eq!(consume(&mut bus), [2]);
    one.commit().unwrap();
}
