//! Correlation and causation in a feed.

use std::sync::Arc;

use persisting_message_bus::backend::{MessageRepository, MessageSource, RawMessage};
use persisting_message_bus::{
    Correlation, Message, MessageConsumer, MessageDispatcher, OnDuplicate,
};
use persisting_message_bus_http::HttpSource;
use persisting_message_bus_tests::databases::{Database, PooledSqlite};
use persisting_message_bus_tests::topics::{Orders, Paid, Payments, raw_message};
use serde_json::Value;

use super::resuming::ship;
use super::round_trip::stored;
use super::serving::{Serving, feed_of};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Returns an order with foreign headers.
pub fn raw(headers: &str) -> RawMessage {
    RawMessage {
        message_type: "OrderShipped".into(),
        headers: headers.to_owned(),
        ..raw_message("orders", r#"{"order":3}"#.to_owned())
    }
}

/// Pays the shipped orders.
pub fn pay(database: &PooledSqlite) {
    let payments = MessageDispatcher::<Payments>::new();
    let mut consumer = MessageConsumer::<Orders>::external("till", |message: &Message<Orders>| {
        let order = message.payload().order();
        payments.dispatch(&mut database.connect(), &Paid { order })?;
        Ok(())
    });
    let bus = &mut database.connect();
    while consumer.handle_page(bus).unwrap() > 0 {}
}

#[test]
fn a_flow_has_the_id_of_the_message_that_began_it() {
    let database = Arc::new(PooledSqlite::create());
    let bus = &mut database.connect();
    let root = ship(bus, 1).to_string();
    let request = Correlation::of_flow("request 7").with_traceparent(TRACE);
    let traced = request.scope(|| ship(bus, 2)).to_string();
    let strange = raw(r#"{"__correlation_id":7}"#);
    bus.persist(std::slice::from_ref(&strange), OnDuplicate::Fail)
        .unwrap();
    let strange = strange.message_id.to_string();
    pay(&database);

    let serving = Serving::start(feed_of(&database));
    let orders = serving.get("/orders").json();
    let payments = serving.get("/payments").json();
    let flows = [
        (&root, &*root),
        (&traced, "request 7"),
        (&strange, &*strange),
    ];
    for (index, (cause, flow)) in flows.into_iter().enumerate() {
        assert_eq!(orders[index]["id"], **cause);
        assert_eq!(orders[index]["correlationid"], flow);
        assert_eq!(orders[index]["causationid"], Value::Null);
        assert_eq!(payments[index]["correlationid"], flow);
        assert_eq!(payments[index]["causationid"], **cause);
    }
    let traces = |events: &Value| [0, 1, 2].map(|index| events[index]["traceparent"].clone());
    let trace = [Value::Null, TRACE.into(), Value::Null];
    assert_eq!(traces(&orders), trace);
    assert_eq!(traces(&payments), trace);

    // Headers come as they are stored, without the values of attributes.
    let source = &mut HttpSource::new(serving.url()).unwrap();
    for topic in ["orders", "payments"] {
        let head = bus.current_head(topic).unwrap();
        let there = stored(bus, topic, head);
        assert_eq!(stored(source, topic, head), there);
    }
    assert!(
        !orders[0]["headers"]
            .to_string()
            .contains("__correlation_id")
    );
}
