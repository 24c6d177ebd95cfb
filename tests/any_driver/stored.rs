//! What the function stores.

use chrono::{DateTime, TimeDelta, Utc};
use persisting_message_bus::backend::{MAX_NAME_LENGTH, MessageRepository};
use persisting_message_bus::sql::TableSchema;
use persisting_message_bus::{Headers, Message, MessageConsumer, MessageDispatcher, OnDuplicate};
use persisting_message_bus_tests::hostile;
use persisting_message_bus_tests::topics::Orders;
use persisting_message_bus_tests::topics::invoices::{InvoiceSent, Invoices};
use persisting_message_bus_tests::topics::parcels::{ParcelSent, Parcels, VanLeft};
use serde_json::json;
use uuid::Uuid;

use crate::beside::{Beside, arguments_of, with_topic};

/// All columns of all messages.
pub const ROWS: &str = "SELECT concat_ws('|', id, message_id, topic, message_type, message_version,
    coalesce(correlation_id, 'NULL'), key_slot, payload, headers, published_at)
    FROM public_messages ORDER BY id";

/// The columns that do not depend on the id of a message.
const CONTENTS: &str = "SELECT concat_ws('|', topic, message_type, message_version,
    coalesce(correlation_id, 'NULL'), key_slot, payload, published_at) FROM public_messages ORDER BY id";

pub fn all_headers() -> Vec<Headers> {
    let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    let headers = |at: &str| {
        Headers::new()
            .with_message_id(Uuid::now_v7())
            .with_recorded_at(time(at))
    };
    let mut in_a_flow = headers("2026-03-01T12:00:00.000001Z");
    in_a_flow.set_correlation_id("flow \"1\" \\ \u{e4}\u{1f980}");
    in_a_flow.set_causation_id(Uuid::now_v7());
    let custom = headers("1969-12-31T23:59:59.999999Z")
        .with("tenant", "acme")
        .with(
            "a \"b\" \\ c",
            json!({"a": [1, 2.5e300, null], "b": {"c": "}"}}),
        )
        .with("\u{e4}\u{1f980}", "\u{fdd0}\u{7f}\n' ; --");
    vec![
        headers("2026-03-01T12:00:00Z"),
        in_a_flow.clone().with("tenant", "acme"),
        in_a_flow.with_message_id(Uuid::now_v7()),
        custom,
        headers("0000-01-01T00:00:00Z"),
        headers("9999-12-31T23:59:59.999999Z"),
    ]
}

pub fn sent() -> InvoiceSent {
    InvoiceSent {
        invoice: 7,
        cents: -1,
        currency: "\u{20ac} \"'\\".to_owned(),
    }
}

/// Returns messages with keys, and one without.
pub fn all_keys() -> Vec<(Parcels, Headers)> {
    let longest = "\u{1f980}".repeat(MAX_NAME_LENGTH);
    let keys = ["7", "4294967295", "Z\u{fc}rich", "a \"b\" \\ 'c'", &longest];
    let sent = keys.map(|key| ParcelSent::with_key(key).into());
    let left = VanLeft {
        parcels: Vec::new(),
    };
    let time: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().unwrap();
    let parcels = sent.into_iter().chain([left.into()]);
    parcels
        .map(|parcel| {
            let headers = Headers::new().with_message_id(Uuid::now_v7());
            (parcel, headers.with_recorded_at(time))
        })
        .collect()
}

pub fn a_statement_stores_the_row_of_a_dispatch<D: Beside>() {
    let (by_library, by_client) = (D::create(), D::create());
    let invoices = MessageDispatcher::<Invoices>::new();
    let (mut bus, mut client) = (by_library.connect(), by_client.sqlx());
    for headers in all_headers() {
        invoices
            .dispatch_with(&mut bus, &sent(), headers.clone())
            .unwrap();
        let statement = invoices.statement_with(D::KIND, &TableSchema::default(), &sent(), headers);
        client.run(&statement.unwrap()).unwrap();
    }
    let parcels = MessageDispatcher::<Parcels>::new();
    for (parcel, headers) in all_keys() {
        parcels
            .dispatch_with(&mut bus, &parcel, headers.clone())
            .unwrap();
        let statement = parcels.statement_with(D::KIND, &TableSchema::default(), &parcel, headers);
        client.run(&statement.unwrap()).unwrap();
    }
    let expected = D::texts(&mut bus, ROWS);
    assert_eq!(expected.len(), all_headers().len() + all_keys().len());
    assert_eq!(D::texts(&mut by_client.connect(), ROWS), expected);
}

pub fn defaults_are_an_id_of_version_7_and_the_current_time<D: Beside>() {
    let database = with_topic::<D>();
    let begun = Utc::now();
    for mut client in database.clients() {
        client.publish(1).unwrap();
    }
    let call =
        D::call("'orders', 'OrderShipped', 1, '{\"order\":2}', NULL, NULL, NULL, '', NULL, NULL");
    database.sqlx().execute(&call).unwrap();
    let seconds = TimeDelta::seconds(1);
    let mut ids = Vec::new();
    let check = |message: &Message<Orders>| {
        let id = message.message_id();
        assert_eq!(id.get_version_num(), 7, "{id}");
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122, "{id}");
        let (created, _) = id.get_timestamp().unwrap().to_unix();
        for time in [
            message.recorded_at().timestamp(),
            i64::try_from(created).unwrap(),
        ] {
            let time = DateTime::from_timestamp_secs(time).unwrap();
            assert!(
                begun - seconds <= time && time <= Utc::now() + seconds,
                "{time}"
            );
        }
        let headers: serde_json::Value = serde_json::from_str(message.headers_json()).unwrap();
        assert_eq!(headers["__message_id"], id.to_string());
        assert_eq!(message.correlation_id(), id.to_string(), "it starts a flow");
        ids.push(id);
        Ok(())
    };
    let mut consumer = MessageConsumer::<Orders>::external("all", check);
    consumer
        .handle_new_messages(&mut database.connect())
        .unwrap();
    drop(consumer);
    assert_eq!(ids.len(), database.clients().len() + 1);
}

pub fn the_function_stores_the_messages_that_the_library_stores<D: Beside>() {
    let (by_library, by_client) = (D::create(), D::create());
    let (mut bus, mut client) = (by_library.connect(), by_client.sqlx());
    let mut stored = 0;
    for (message, _) in hostile::accepted() {
        // Only the function writes these headers.
        if message.headers.contains("\"__") || D::cannot_check(&message) {
            continue;
        }
        bus.persist(std::slice::from_ref(&message), OnDuplicate::Fail)
            .unwrap();
        let call = D::call(&arguments_of::<D>(&message));
        client
            .execute(&call)
            .unwrap_or_else(|error| panic!("{error}: {message:?}"));
        stored += 1;
    }
    assert!(stored > 15, "{stored}");
    assert_eq!(
        D::texts(&mut by_client.connect(), CONTENTS),
        D::texts(&mut bus, CONTENTS)
    );
}
