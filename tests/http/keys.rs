//! Keys in a feed.

use std::convert::Infallible;
use std::sync::Arc;

use persisting_message_bus::backend::{MessageRepository, Slot};
use persisting_message_bus::{Headers, MessageBus, MessageDispatcher, OnDuplicate, relay};
use persisting_message_bus_http::{Feed, HttpSource};
use persisting_message_bus_tests::databases::{Database, PooledSqlite, Sqlite};
use persisting_message_bus_tests::topics::parcels::{ParcelSent, Parcels, VanLeft};
use serde_json::{Value, json};

use super::correlation::raw;
use super::serving::{Serving, feed_of};

#[test]
fn a_key_is_the_partition_key_of_its_event_and_survives_a_relay() {
    let (database, copy) = (Arc::new(PooledSqlite::create()), Sqlite::create());
    let bus = &mut database.connect();
    let parcels = MessageDispatcher::<Parcels>::new();
    let key = "Z\u{fc}rich \"1\"";
    let left = VanLeft {
        parcels: Vec::new(),
    };
    let header = || Headers::new().with("partitionkey", "of the application");
    parcels
        .dispatch_with(bus, &ParcelSent::with_key(key), header())
        .unwrap();
    parcels.dispatch_with(bus, &left, header()).unwrap();
    parcels.dispatch(bus, &left).unwrap();
    let source = Arc::clone(&database);
    let feed = Feed::new(move || Ok::<_, Infallible>(source.connect()), ["parcels"]);
    let serving = Serving::start(feed.unwrap().public());
    let page = serving.get("/parcels").json();
    let attributes = [0, 1, 2].map(|index| page[index]["partitionkey"].clone());
    assert_eq!(
        attributes,
        [json!(key), json!("of the application"), Value::Null]
    );

    let source = HttpSource::new(serving.url()).unwrap();
    let both = &mut MessageBus::new(source, copy.connect());
    let mut relay = relay::<Parcels, _>("copy");
    assert_eq!(relay.handle_page(both).unwrap(), 3);
    assert_eq!(copy.key_slots(), [Slot::of(key).get(), -1, -1]);
    assert_eq!(copy.key_slots(), database.key_slots());
}

#[test]
fn a_key_that_no_attribute_can_have_is_only_in_the_headers() {
    let database = Arc::new(PooledSqlite::create());
    let bus = &mut database.connect();
    let mut message = raw("{\"__message_key\":\"a\u{ffff}\",\"partitionkey\":\"b\"}");
    message.key_slot = Slot::of("a\u{ffff}");
    bus.persist(&[message], OnDuplicate::Fail).unwrap();
    let serving = Serving::start(feed_of(&database));
    let event = serving.get("/orders").json()[0].take();
    assert_eq!(event.get("partitionkey"), None);
    let headers: Value = serde_json::from_str(event["headers"].as_str().unwrap()).unwrap();
    assert_eq!(headers["__message_key"], "a\u{ffff}");
}
