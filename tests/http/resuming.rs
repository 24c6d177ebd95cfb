//! The beginning and the end of a page.

use std::ops::RangeInclusive;
use std::sync::Arc;

use persisting_message_bus::backend::{MessageRepository, Slot};
use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus::{Message, MessageBus, MessageConsumer, MessageDispatcher};
use persisting_message_bus_http::{HttpSource, Limits};
use persisting_message_bus_tests::databases::{Database, Memory, PooledSqlite};
use persisting_message_bus_tests::topics::{OrderShipped, Orders, Paid, Payments};
use uuid::Uuid;

use super::serving::{Serving, feed_of};

pub fn ship(bus: &mut impl MessageRepository, order: u64) -> Uuid {
    MessageDispatcher::<Orders>::new()
        .dispatch(bus, &OrderShipped { order })
        .unwrap()
}

pub fn ship_all(bus: &mut impl MessageRepository, orders: RangeInclusive<u64>) {
    let shipped = orders.map(|order| OrderShipped { order });
    MessageDispatcher::<Orders>::new()
        .dispatch_batch(bus, shipped)
        .unwrap();
}

/// Serves five orders and a message of another topic.
fn five_orders() -> (Serving, Vec<Uuid>) {
    let database = Arc::new(PooledSqlite::create());
    let bus = &mut database.connect();
    let ids = (1..=5).map(|order| ship(bus, order)).collect();
    MessageDispatcher::<Payments>::new()
        .dispatch(bus, &Paid { order: 1 })
        .unwrap();
    let limits = Limits::default().max_page_size(4);
    (Serving::start(feed_of(&database).limits(limits)), ids)
}

#[test]
fn a_request_after_the_last_event_gets_the_next_ones() {
    let (serving, _) = five_orders();
    let mut target = "/orders?limit=2".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = serving.get(&target);
        assert_eq!(
            page.header("content-type"),
            Some("application/cloudevents-batch+json")
        );
        let events = page.json();
        let Some(last) = events.as_array().unwrap().last() else {
            assert_eq!(page.body, b"[]");
            break;
        };
        let id = last["id"].as_str().unwrap();
        target = format!("/orders?limit=2&lastEventId={id}");
        seen.extend(page.orders());
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
}

#[test]
fn an_event_is_known_by_its_id_and_by_its_sequence() {
    let (serving, ids) = five_orders();
    let page = serving.get(&format!("/orders?lastEventId={}", ids[2]));
    assert_eq!(page.orders(), [4, 5]);
    for third in [
        "after=3",
        "lastEventId=3",
        "lastEventId=00000000000000000003",
    ] {
        assert_eq!(serving.get(&format!("/orders?{third}")).orders(), [4, 5]);
    }
    assert_eq!(serving.get("/orders?after=0&limit=1").orders(), [1]);
    assert_eq!(page.json()[0]["sequence"], "00000000000000000004");
}

#[test]
fn an_unknown_event_is_never_taken_for_the_start() {
    let (serving, ids) = five_orders();
    let unknown = format!("/orders?lastEventId={}", Uuid::now_v7());
    assert!(
        serving
            .get(&unknown)
            .problem(404)
            .contains("was pruned, or never existed")
    );
    let elsewhere = format!("/payments?lastEventId={}", ids[0]);
    serving.get(&elsewhere).problem(404);
    for beyond in ["after=7", "lastEventId=99999999999999999999"] {
        let problem = serving.get(&format!("/orders?{beyond}")).problem(404);
        assert!(
            problem.contains("never existed: the last one is 6"),
            "{problem}"
        );
    }
    // Position 6 belongs to another topic, but it has existed.
    assert_eq!(serving.get("/orders?after=6").orders(), [0; 0]);
}

#[test]
fn malformed_queries_get_a_problem() {
    let (serving, _) = five_orders();
    let bad = [
        "lastEventId=%00",
        "lastEventId=-1",
        "after=",
        "after=-1",
        "after=x",
        "after=1.5",
        "after=1&after=2",
        "after=1&lastEventId=1",
        "limit=-1",
        "limit=many",
        "timeout=x",
        "type=a&exceptType=b",
        "type=a%00b",
        "exceptType=%0A",
    ];
    for query in bad {
        serving.get(&format!("/orders?{query}")).problem(400);
    }
    serving.get("/%FF").problem(400);
    serving.get("/nothing").problem(404);
    serving.get("/orders/more").problem(404);
    assert_eq!(serving.get("/orders?unknown=1&limit=1").orders(), [1]);
}

#[test]
fn limits_are_kept() {
    let (serving, _) = five_orders();
    for most in ["limit=1000", "limit=99999999999999999999999", ""] {
        assert_eq!(
            serving.get(&format!("/orders?{most}")).orders(),
            [1, 2, 3, 4]
        );
    }
    let none = serving.get("/orders?limit=0");
    assert_eq!(none.body, b"[]");
    assert_eq!(none.header("feed-head"), Some("5"));
    assert_eq!(none.header("feed-high-water-mark"), Some("6"));
    assert_eq!(none.header("feed-next"), Some("0"));
    assert_eq!(
        serving.get("/orders?after=4").header("feed-next"),
        Some("5")
    );
}

#[test]
fn a_page_ends_at_its_byte_limit() {
    let database = Arc::new(Memory::create());
    let bus = &mut database.connect();
    ship_all(bus, 1..=3);
    let limits = Limits::default().max_page_bytes(1);
    let serving = Serving::start(feed_of(&database).limits(limits));
    let page = serving.get("/orders");
    assert_eq!(page.orders(), [1]);
    assert_eq!(page.header("feed-next"), Some("1"));
    assert!(page.header("etag").is_some());
}

#[test]
fn only_requested_types_are_served() {
    let database = Arc::new(Memory::create());
    let bus = &mut database.connect();
    let placed = persisting_message_bus_tests::topics::OrderPlaced::number(1);
    MessageDispatcher::<Orders>::new()
        .dispatch(bus, &placed)
        .unwrap();
    ship(bus, 2);
    let serving = Serving::start(feed_of(&database));
    assert_eq!(serving.get("/orders?type=OrderShipped").orders(), [2]);
    assert_eq!(serving.get("/orders?exceptType=OrderShipped").orders(), [1]);
    assert_eq!(
        serving
            .get("/orders?type=OrderShipped&type=OrderPlaced")
            .orders(),
        [1, 2]
    );
    let none = serving.get("/orders?type=Nothing");
    assert_eq!(none.header("feed-next"), Some("2"));
}

#[test]
fn topic_names_are_percent_encoded() {
    let database = Arc::new(Memory::create());
    let shared = Arc::clone(&database);
    let topics = ["a/b c?", "...", "ümläut"];
    let connect = move || Ok::<_, std::convert::Infallible>(shared.connect());
    let feed = persisting_message_bus_http::Feed::new(connect, topics)
        .unwrap()
        .public();
    let serving = Serving::start(feed.source("https://shop.example/").unwrap());
    let bus = &mut database.connect();
    for topic in topics {
        let raw = persisting_message_bus::backend::RawMessage {
            correlation_id: None,
            key_slot: Slot::NONE,
            message_id: Uuid::now_v7(),
            topic: topic.into(),
            message_type: "Strange".into(),
            message_version: 1,
            payload: "{}".to_owned(),
            headers: "{}".to_owned(),
            published_at: chrono::Utc::now(),
        };
        bus.persist(&[raw], persisting_message_bus::OnDuplicate::Fail)
            .unwrap();
    }
    assert_eq!(
        serving.get("/").json()["topics"],
        serde_json::json!(["...", "a/b c?", "ümläut"])
    );
    let page = serving.get("/a%2Fb%20c%3F").json();
    assert_eq!(page[0]["source"], "https://shop.example/a%2Fb%20c%3F");
    let source = &mut persisting_message_bus_http::HttpSource::new(serving.url()).unwrap();
    for topic in topics {
        use persisting_message_bus::backend::MessageSource;
        assert_eq!(
            source
                .backlog(topic, persisting_message_bus::Position::START)
                .unwrap()
                .messages,
            1
        );
    }
}

#[test]
fn a_message_that_is_no_json_is_not_skipped() {
    let database = Arc::new(PooledSqlite::create());
    let bus = &mut database.connect();
    ship(bus, 1);
    ship(bus, 2);
    // Other programs can write anything.
    diesel::connection::SimpleConnection::batch_execute(
        bus,
        "UPDATE public_messages SET payload = '{\"order\": 2' WHERE id = 2",
    )
    .unwrap();
    ship(bus, 3);
    let serving = Serving::start(feed_of(&database));
    let page = serving.get("/orders");
    assert_eq!(page.orders(), [1]);
    assert_eq!(page.header("feed-next"), Some("1"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let problem = serving.get("/orders?after=1").problem(500);
    assert!(problem.contains("position 2"), "{problem}");
}

/// Each page of the feed is one event, which can be the last one that the consumer has handled.
#[test]
fn a_consumer_continues_on_a_feed_whose_pages_are_one_event() {
    let database = Arc::new(PooledSqlite::create());
    ship_all(&mut database.connect(), 1..=3);
    for limits in [
        Limits::default().max_page_size(1),
        Limits::default().max_page_bytes(1),
    ] {
        let serving = Serving::start(feed_of(&database).limits(limits));
        let source = HttpSource::new(serving.url()).unwrap();
        let mut bus = MessageBus::new(source, InMemoryMessageBus::default());
        let mut seen = Vec::new();
        let handler = |message: &Message<Orders>| {
            seen.push(message.payload().order());
            Ok(())
        };
        let mut consumer = MessageConsumer::<Orders>::external("all", handler);
        assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 3);
        drop(consumer);
        assert_eq!(seen, [1, 2, 3]);
    }
}
