//! Rows that other programs wrote.

use diesel::connection::SimpleConnection;
use persisting_message_bus::{Message, MessageConsumer, Position};
use persisting_message_bus_tests::databases::{Database, Sqlite};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

use super::orders;

#[test]
fn a_broken_row_stops_the_consumer_and_the_error_says_where() {
    for (column, value, expected) in [
        ("message_id", "'x'", "a UUID"),
        ("message_id", "x'07'", "a UUID"),
        ("message_version", "'one'", "an integer"),
        ("message_version", "-1", "a version from 1"),
        ("message_version", "0", "a version from 1"),
        ("payload", "CAST(x'22ff22' AS TEXT)", "UTF-8"),
        ("payload", "x'22ff22'", "UTF-8"),
        ("headers", "CAST(x'ff' AS TEXT)", "UTF-8"),
        ("message_id", "message_id || '2'", "a UUID"),
        ("published_at", "'yesterday'", "a time"),
        ("published_at", "substr(published_at, 2)", "a time"),
        ("published_at", "published_at || '[UTC]'", "a time"),
        ("published_at", "'2026-02-30T12:00:00.000000Z'", "a time"),
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
            let error = consumer.handle_page(&mut connection).unwrap_err();
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
            message.recorded_at().to_rfc3339(),
            "2026-03-01T12:00:00+00:00"
        );
        Ok(())
    });
    assert_eq!(consumer.handle_page(&mut connection).unwrap(), 1);
}

#[test]
fn a_payload_that_is_no_json_stops_the_consumer() {
    let database = Sqlite::create();
    let mut connection = database.connect();
    let batch = (0..2).map(OrderPlaced::number);
    orders().dispatch_batch(&mut connection, batch).unwrap();
    connection
        .batch_execute("UPDATE public_messages SET payload = 'no JSON' WHERE id = 2")
        .unwrap();
    let mut consumer = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| Ok(()));
    let error = consumer.handle_page(&mut connection).unwrap_err();
    assert!(error.is_bad_message(), "{error:?}");
    assert!(format!("{error:#}").contains("expected ident"), "{error:?}");
    assert_eq!(error.position(), Some(Position::new(2)));
}
