//! Rows and columns that other programs created.

use diesel::connection::SimpleConnection;
use persisting_message_bus::{Message, MessageConsumer, Position};
use persisting_message_bus_tests::databases::{Database, Mariadb};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use super::{consume, orders};

#[test]
fn a_broken_row_stops_the_consumer_and_the_error_says_where() {
    for (column, column_type, value, position, expected) in [
        ("message_id", "varchar(255)", "'x'", 2, "a UUID"),
        ("message_id", "int", "7", 1, "a text"),
        ("message_version", "bigint", "-1", 2, "a version from 1"),
        (
            "message_version",
            "bigint unsigned",
            "18446744073709551615",
            2,
            "an integer",
        ),
        ("message_version", "varchar(9)", "'one'", 1, "an integer"),
        ("payload", "longblob", "x'22ff22'", 2, "UTF-8"),
        ("headers", "text", "NULL", 2, "a text"),
        ("published_at", "datetime", "'0000-00-00'", 2, "a time"),
        ("published_at", "varchar(99)", "'yesterday'", 1, "a time"),
    ] {
        let database = Mariadb::create();
        let mut connection = database.connect();
        let batch = (0..3).map(OrderPlaced::number);
        orders().dispatch_batch(&mut connection, batch).unwrap();
        connection
            .batch_execute(&format!(
                "SET sql_mode = '', unique_checks = 0;
                ALTER TABLE public_messages DROP KEY message_id;
                ALTER TABLE public_messages MODIFY {column} {column_type} NULL;
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
    let database = Mariadb::create();
    let mut connection = database.connect();
    let dispatch = |connection: &mut _| {
        orders()
            .dispatch(connection, &OrderPlaced::number(1))
            .unwrap();
    };
    dispatch(&mut connection);
    for (column, column_type) in [
        ("id", "bigint unsigned AUTO_INCREMENT"),
        ("id", "int unsigned AUTO_INCREMENT"),
        ("message_version", "tinyint unsigned"),
        ("message_version", "smallint"),
        ("payload", "json"),
        ("headers", "mediumtext"),
        ("published_at", "timestamp(3)"),
    ] {
        connection
            .batch_execute(&format!(
                "ALTER TABLE public_messages MODIFY {column} {column_type} NOT NULL"
            ))
            .unwrap();
        dispatch(&mut connection);
    }
    assert_eq!(consume(&mut connection), [1; 8]);
}
