//! Messages of a rare type, many messages apart: a page of a feed can be empty before the end.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use persisting_message_bus::backend::MessageRepository;
use persisting_message_bus::{Message, MessageBus, MessageConsumer, MessageDispatcher};
use persisting_message_bus_http::{HttpSource, Limits};
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

/// The client learns how far the search has come, and continues there when it connects again.
#[test]
fn a_stream_tells_its_progress_while_it_passes_over_other_types() {
    let database = Arc::new(PooledSqlite::create());
    place_many(&mut database.connect(), 25_000);
    ship(&mut database.connect(), 1);
    let limits = Limits::default().heartbeat_interval(Duration::ZERO);
    let serving = Serving::start(feed_of(&database).limits(limits));
    let stream = ("Accept", "text/event-stream");
    let (status, lines) = serving.lines("/orders?type=OrderShipped", &[stream]);
    assert_eq!(status, 200);
    let mut progress = Vec::new();
    for line in lines {
        if line.starts_with("data:") {
            break;
        }
        if let Some(id) = line.strip_prefix("id:") {
            progress.push(id.trim().parse::<u64>().unwrap());
        }
    }
    let event = progress.pop();
    assert_eq!(event, Some(25_001));
    assert!(!progress.is_empty() && progress.is_sorted(), "{progress:?}");
    let last = progress.last().unwrap().to_string();
    let resumed = serving.get(&format!("/orders?type=OrderShipped&lastEventId={last}"));
    assert_eq!(resumed.orders(), [1]);
}
