//! Valid rows in another form than this library writes.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use persisting_message_bus::sql::migrate;
use persisting_message_bus::{Message, MessageConsumer};
use persisting_message_bus_tests::databases::{Database, Sqlite};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};
use uuid::Uuid;

use super::orders;

const MESSAGES: u64 = 5;

#[derive(Debug, Clone, PartialEq)]
struct Seen {
    message: Orders,
    id: Uuid,
    time: DateTime<Utc>,
}

fn publish(connection: &mut SqliteConnection) {
    let batch = (0..MESSAGES).map(|order| OrderPlaced {
        order,
        note: "R\u{f8}dgr\u{f8}d \u{fffd} \u{1f353} \0".to_owned(),
    });
    orders().dispatch_batch(connection, batch).unwrap();
}

/// Returns the messages that a new consumer sees with this page size.
fn seen(connection: &mut SqliteConnection, page_size: usize) -> Vec<Seen> {
    let mut seen = Vec::new();
    let name = Uuid::now_v7().to_string();
    let consumer = MessageConsumer::<Orders>::external(name, |message: &Message<Orders>| {
        assert!(message.headers()?.is_empty());
        seen.push(Seen {
            message: message.payload().clone(),
            id: message.message_id(),
            time: message.recorded_at(),
        });
        Ok(())
    });
    let mut consumer = consumer.page_size(page_size);
    consumer.handle_new_messages(connection).unwrap();
    drop(consumer);
    seen
}

/// Asserts that all consumers see the same messages with any page size when a few rows have this
/// form.
fn are_seen_as_before(column: &str, value: &str) {
    let database = Sqlite::create();
    let mut connection = database.connect();
    publish(&mut connection);
    let expected = seen(&mut connection, 100);
    assert_eq!(expected.len() as u64, MESSAGES);
    for rows in ["id = 1", "id IN (2, 3)", "id = 5", "true"] {
        let change =
            format!("SAVEPOINT before; UPDATE public_messages SET {column} = {value} WHERE {rows}");
        connection.batch_execute(&change).unwrap();
        for page_size in [1, 2, 3, 100] {
            let now = seen(&mut connection, page_size);
            assert_eq!(
                now, expected,
                "{column} = {value} where {rows}, {page_size}"
            );
        }
        connection
            .batch_execute("ROLLBACK TO before; RELEASE before")
            .unwrap();
    }
}

#[test]
fn ids_in_all_forms_of_a_uuid_are_read() {
    for value in [
        "upper(message_id)",
        "replace(message_id, '-', '')",
        "'{' || message_id || '}'",
        "'urn:uuid:' || message_id",
        "CAST(message_id AS BLOB)",
    ] {
        are_seen_as_before("message_id", value);
    }
}

#[test]
fn payloads_and_headers_are_read_from_texts_and_blobs() {
    for column in ["payload", "headers"] {
        are_seen_as_before(column, &format!("CAST({column} AS BLOB)"));
        are_seen_as_before(column, &format!("{column} || char(10)"));
    }
    are_seen_as_before("message_type", "CAST(message_type AS BLOB)");
}

#[test]
fn times_in_all_forms_are_read_as_the_same_time() {
    let noon: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().unwrap();
    let micro = TimeDelta::microseconds(1);
    for (value, expected) in [
        ("2026-03-01T12:00:00.000000Z", noon),
        ("2026-03-01T11:59:59.999999Z", noon - micro),
        ("2026-03-01T12:00:00Z", noon),
        ("2026-03-01t12:00:00.000000z", noon),
        ("2026-03-01T14:00:00.000+02:00", noon),
        ("2026-03-01T12:00:00.0000010Z", noon + micro),
        ("2026-03-01 12:00:00", noon),
        ("2026-03-01 12:00:00.000001", noon + micro),
    ] {
        are_read_as(value, expected);
    }
}

fn are_read_as(value: &str, expected: DateTime<Utc>) {
    let database = Sqlite::create();
    let mut connection = database.connect();
    publish(&mut connection);
    let change = format!("UPDATE public_messages SET published_at = '{value}' WHERE id <> 2");
    connection.batch_execute(&change).unwrap();
    let times: Vec<_> = seen(&mut connection, 100)
        .into_iter()
        .map(|seen| seen.time)
        .collect();
    assert_eq!(times.len() as u64, MESSAGES, "{value}");
    for index in [0, 2, 3, 4] {
        assert_eq!(times[index], expected, "{value}");
    }
}

#[test]
fn databases_whose_texts_are_utf_16_are_read() {
    for encoding in ["UTF-8", "UTF-16le", "UTF-16be"] {
        let mut connection = SqliteConnection::establish(":memory:").unwrap();
        let pragma = format!("PRAGMA encoding = '{encoding}'");
        connection.batch_execute(&pragma).unwrap();
        migrate(&mut connection).unwrap();
        publish(&mut connection);
        let seen = seen(&mut connection, 3);
        assert_eq!(seen.len() as u64, MESSAGES, "{encoding}");
        for (seen, number) in seen.iter().zip(0..) {
            let Orders::OrderPlaced(OrderPlaced { order, note }) = &seen.message else {
                panic!("{seen:?}");
            };
            assert_eq!(*order, number);
            assert_eq!(
                note, "R\u{f8}dgr\u{f8}d \u{fffd} \u{1f353} \0",
                "{encoding}"
            );
        }
    }
}
