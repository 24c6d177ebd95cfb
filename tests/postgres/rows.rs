//! Rows and columns that other programs created.

use diesel::connection::SimpleConnection;
use persisting_message_bus::{Message, MessageConsumer, Position};
use persisting_message_bus_tests::databases::{Database, Postgres};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use super::{consume, orders};

#[test]
fn a_broken_row_stops_the_consumer_and_the_error_says_where() {
    for (column, column_type, value, position, expected) in [
        ("message_id", "text", "'x'", 2, "a UUID"),
        ("message_id", "bytea", "'x'", 1, "a text"),
        ("message_version", "bigint", "-1", 2, "a version from 1"),
        ("message_version", "bigint", "0", 2, "a version from 1"),
        ("message_version", "text", "'one'", 1, "an integer"),
        ("payload", "bytea", "'x'", 1, "a text"),
        ("headers", "text", "NULL", 2, "a text"),
        ("published_at", "timestamptz", "'infinity'", 2, "a time"),
        ("published_at", "text", "'yesterday'", 1, "a time"),
    ] {
        let database = Postgres::create();
        let mut connection = database.connect();
        let batch = (0..3).map(OrderPlaced::number);
        orders().dispatch_batch(&mut connection, batch).unwrap();
        connection
            .batch_execute(&format!(
                "ALTER TABLE public_messages ALTER {column} DROP DEFAULT,
                    ALTER {column} DROP NOT NULL,
                    ALTER {column} TYPE {column_type} USING {column}::text::{column_type};
                UPDATE public_messages SET {column} = {value} WHERE id = 2"
            ))
            .unwrap();
        let mut seen = 0;
        let mut consumer = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| {
            seen += 1;
            Ok(())
        });
        for _ in 0..2 {
            let error = consumer.handle_page(&mut connection).unwrap_err();
            assert!(error.is_bad_message(), "{column} = {value}: {error:?}");
            assert_eq!(error.position(), Some(Position::new(position)), "{error:?}");
            let text = format!("{error:#}");
            for part in ["\"all\"", "\"orders\"", column, expected] {
                assert!(text.contains(part), "{part} in {text}");
            }
        }
        drop(consumer);
        assert_eq!(seen, position - 1);
    }
}

#[test]
fn columns_can_have_related_types() {
    let database = Postgres::create();
    let mut connection = database.connect();
    orders()
        .dispatch(&mut connection, &OrderPlaced::number(1))
        .unwrap();
    for (column, column_type) in [
        ("topic", "varchar(255)"),
        ("message_type", "varchar(255)"),
        ("message_version", "smallint"),
        ("payload", "jsonb"),
        ("headers", "text"),
        ("published_at", "timestamp"),
    ] {
        connection
            .batch_execute(&format!(
                "SET timezone = 'UTC';
                ALTER TABLE public_messages ALTER {column} TYPE {column_type}
                    USING {column}::{column_type}"
            ))
            .unwrap();
        orders()
            .dispatch(&mut connection, &OrderPlaced::number(2))
            .unwrap();
    }
    assert_eq!(consume(&mut connection), [1, 2, 2, 2, 2, 2, 2]);
}
