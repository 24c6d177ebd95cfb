use chrono::Utc;
use persisting_message_bus::backend::{
    CursorUpdate, MessageConsumerState, MessageRepository, MessageSource, Place, RawMessage, Slot,
};
use persisting_message_bus::operate::ConsumerKey;
use persisting_message_bus::{
    Error, Message, MessageConsumer, MessageDispatcher, OnDuplicate, Position,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{OrderPlaced, OrderShipped, Orders, Paid, Payments};
use uuid::Uuid;

use super::{consume, ignore, orders, stored};

pub fn messages_come_in_order_page_by_page<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let batch = (0..25).map(OrderPlaced::number);
    orders().dispatch_batch(&mut bus, batch).unwrap();
    let mut seen = Vec::new();
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        seen.push((message.position(), message.payload().order()));
        Ok(())
    })
    .page_size(10);
    let pages: Vec<_> = (0..4)
        .map(|_| consumer.handle_page(&mut bus).unwrap())
        .collect();
    drop(consumer);
    assert_eq!(pages, [10, 10, 5, 0]);
    assert!(seen.is_sorted());
    assert_eq!(seen.len(), 25);
}

pub fn messages_of_other_topics_neither_stall_nor_repeat<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let payments = MessageDispatcher::<Payments>::new();
    let foreign = |count| (0..count).map(|order| Paid { order });
    let mut expected = Vec::new();
    for round in 0..5 {
        let numbers = round * 100..round * 100 + 7;
        let batch = numbers.clone().map(OrderPlaced::number);
        orders().dispatch_batch(&mut bus, batch).unwrap();
        expected.extend(numbers);
        // More messages than a page holds.
        payments.dispatch_batch(&mut bus, foreign(30)).unwrap();
    }
    let mut seen = Vec::new();
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        seen.push(message.payload().order());
        Ok(())
    })
    .page_size(4);
    while consumer.handle_page(&mut bus).unwrap() > 0 {}
    drop(consumer);
    assert_eq!(seen, expected);
}

pub fn a_consumer_resumes_where_another_instance_stopped<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let batch = (0..10).map(OrderPlaced::number);
    orders().dispatch_batch(&mut bus, batch).unwrap();
    let mut first = MessageConsumer::<Orders>::external("all", ignore).page_size(4);
    assert_eq!(first.handle_page(&mut bus).unwrap(), 4);
    drop((first, bus));
    assert_eq!(consume(&mut database.connect(), "all"), [4, 5, 6, 7, 8, 9]);
}

pub fn consumers_of_different_names_are_independent<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    assert_eq!(consume(&mut bus, "one"), [1]);
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(2))
        .unwrap();
    assert_eq!(consume(&mut bus, "other"), [1, 2]);
    assert_eq!(consume(&mut bus, "one"), [2]);
}

pub fn a_failing_message_is_handled_again_and_the_ones_before_are_not<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let batch = (0..6).map(OrderPlaced::number);
    orders().dispatch_batch(&mut bus, batch).unwrap();
    let mut seen = Vec::new();
    let mut failures = 2;
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        let order = message.payload().order();
        seen.push(order);
        if order == 3 && failures > 0 {
            failures -= 1;
            return Err("the printer is out of paper".into());
        }
        Ok(())
    });
    for _ in 0..2 {
        let error = consumer.handle_page(&mut bus).unwrap_err();
        assert!(error.is_handler_failure());
        let text = format!("{error:#}");
        for part in ["all", "orders", "OrderPlaced", "position 4", "out of paper"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 3);
    drop(consumer);
    assert_eq!(seen, [0, 1, 2, 3, 3, 3, 4, 5]);
}

pub fn an_unknown_type_stops_the_consumer_and_the_error_says_where<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    bad_message_in_the_middle(&mut bus, "OrderTeleported", "{}", "topic `Orders`");
}

pub fn an_undecodable_payload_stops_the_consumer_and_the_error_says_where<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    bad_message_in_the_middle(&mut bus, "OrderShipped", r#"{"order":"x"}"#, "expected u64");
}

fn bad_message_in_the_middle<B>(bus: &mut B, message_type: &'static str, payload: &str, why: &str)
where
    B: MessageRepository + MessageSource + MessageConsumerState,
{
    orders().dispatch(bus, &OrderPlaced::number(1)).unwrap();
    let bad = raw(message_type, payload);
    bus.persist(std::slice::from_ref(&bad), OnDuplicate::Fail)
        .unwrap();
    orders().dispatch(bus, &OrderPlaced::number(2)).unwrap();
    let positions: Vec<_> = stored(bus, "orders").iter().map(|(at, _)| *at).collect();

    let mut seen = 0;
    let mut consumer = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| {
        seen += 1;
        Ok(())
    });
    for _ in 0..2 {
        let error = consumer.handle_page(bus).unwrap_err();
        assert!(error.is_bad_message(), "{error:?}");
        assert_eq!(error.position(), Some(positions[1]));
        let (text, id) = (format!("{error:#}"), bad.message_id.to_string());
        for part in [
            "\"all\"",
            "\"orders\"",
            message_type,
            "position 2",
            &id,
            why,
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
    drop(consumer);
    assert_eq!(seen, 1, "the message before it is handled once");
    let status = bus
        .stored_consumer(ConsumerKey {
            consumer: "all",
            topic: "orders",
        })
        .unwrap()
        .unwrap();
    assert_eq!(status.cursor, Some(positions[0]));
}

pub fn an_alias_decodes_as_its_message<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let old = raw("OrderSent", r#"{"order":4}"#);
    bus.persist(&[old], OnDuplicate::Fail).unwrap();
    let mut seen = Vec::new();
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        seen.push((message.message_type().to_owned(), message.payload().clone()));
        Ok(())
    });
    consumer.handle_page(&mut bus).unwrap();
    drop(consumer);
    let shipped = Orders::Shipped(OrderShipped { order: 4 });
    assert_eq!(seen, [("OrderShipped".to_owned(), shipped)]);
}

pub fn a_cursor_beyond_the_last_position_is_refused<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    for broken in [1_000, -1] {
        set_cursor(&mut bus, Position::new(broken));
        let mut consumer = MessageConsumer::<Orders>::external("all", ignore);
        let error = consumer.handle_page(&mut bus).unwrap_err();
        assert!(error.is_broken_cursor(), "{error:?}");
        assert!(error.to_string().contains(&broken.to_string()), "{error}");
    }
    // Messages of other topics do not affect whether the cursor is valid.
    let last = bus.last_position().unwrap();
    set_cursor(&mut bus, last);
    assert!(consume(&mut bus, "all").is_empty());
}

fn set_cursor(bus: &mut impl MessageConsumerState, cursor: Position) {
    let lease = super::leases::acquire(bus, "operator").unwrap();
    let store = CursorUpdate {
        place: Place::unanchored(Some(cursor)),
        extend_lease: None,
    };
    bus.store_cursor(&lease, &store).unwrap();
}

pub fn raw(message_type: &'static str, payload: &str) -> RawMessage {
    RawMessage {
        message_id: Uuid::now_v7(),
        topic: "orders".into(),
        message_type: message_type.into(),
        message_version: 1,
        payload: payload.to_owned(),
        headers: "{}".to_owned(),
        published_at: Utc::now(),
        correlation_id: None,
        key_slot: Slot::NONE,
    }
}

#[expect(dead_code, reason = "errors cross threads")]
fn errors_are_send_and_sync() {
    fn check<E: std::error::Error + Send + Sync + 'static>() {}
    check::<Error>();
}
