//! Messages of a rare type, many messages apart: a page of a feed can be empty before the end.

use std::cell::RefCell;
use std::sync::Arc;

use persisting_message_bus::backend::MessageRepository;
use persisting_message_bus::{Message, MessageBus, MessageConsumer, MessageDispatcher};
use persisting_message_bus_http::HttpSource;
use persisting_message_bus_tests::databases::{Database, PooledSqlite};
use persisting_message_bus_tests::topics::{OrderCancelled, OrderPlaced, Orders};
use uuid::Uuid;

use super::resuming::ship;
use super::serving::{Serving, feed_of};

fn place_many(bus: &mut impl MessageRepository, count: u64) {
    for first in (0..count).step_by(4_000) {
        let batch = (first..count.min(first + 4_000)).map(OrderPlaced::number);
        MessageDispatcher::<Orders>::new()
            .dispatch_batch(bus, batch)
            .unwrap();
    }
}

/// Serves two rare messages after 25,000 others each. Returns the id of the first message, too.
fn serve_rare_messages() -> (Serving, Uuid) {
    let database = Arc::new(PooledSqlite::create());
    let bus = &mut database.connect();
    let placed = OrderPlaced::number(0);
    let id = MessageDispatcher::<Orders>::new().dispatch(bus, &placed);
    place_many(bus, 25_000);
    ship(bus, 1);
    place_many(bus, 25_000);
    let cancelled = OrderCancelled {
        order: 2,
        reason: None,
    };
    MessageDispatcher::<Orders>::new()
        .dispatch(bus, &cancelled)
        .unwrap();
    (Serving::start(feed_of(&database)), id.unwrap())
}

#[test]
fn an_empty_answer_is_the_end_for_a_client_that_knows_no_positions() {
    let (serving, id) = serve_rare_messages();
    for start in ["", &format!("&lastEventId={id}")] {
        let first = serving.get(&format!("/orders?type=Cancelled{start}"));
        assert_eq!(first.status, 200);
        let events = first.json();
        assert_eq!(events[0]["data"]["order"], 2, "{start}: {events}");
        let last = events[0]["id"].as_str().unwrap();
        let end = serving.get(&format!("/orders?type=Cancelled&lastEventId={last}"));
        assert_eq!(end.json(), serde_json::json!([]));
    }
}

#[test]
fn a_stream_sends_messages_that_are_far_apart() {
    let (serving, _) = serve_rare_messages();
    let stream = ("Accept", "text/event-stream");
    let address = "/orders?type=Cancelled&type=OrderShipped";
    let (status, lines) = serving.lines(address, &[stream]);
    assert_eq!(status, 200);
    let ids = lines.filter(|line| line.starts_with("id:"));
    assert_eq!(ids.take(2).count(), 2);
}

#[test]
fn a_consumer_of_a_feed_gets_messages_that_are_far_apart() {
    use persisting_message_bus_tests::topics::Closed;

    let (serving, _) = serve_rare_messages();
    let state = PooledSqlite::create();
    let source = HttpSource::new(serving.url()).unwrap();
    let mut bus = MessageBus::new(source, state.connect());
    let seen = RefCell::new(Vec::new());
    let handler = |message: &Message<Closed>| {
        seen.borrow_mut().push(match message.payload() {
            Closed::Shipped(shipped) => shipped.order,
            Closed::Cancelled(cancelled) => cancelled.order,
        });
        Ok(())
    };
    let mut consumer = MessageConsumer::<Closed>::external("closed", handler).page_size(1);
    assert_eq!(consumer.handle_new_messages(&mut bus).unwrap(), 2);
    assert_eq!(*seen.borrow(), [1, 2]);
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 0);
}
