use persisting_message_bus::backend::{MessageConsumerState, MessageRepository, MessageSource};
use persisting_message_bus::operate::ConsumerKey;
use persisting_message_bus::{Message, MessageConsumer, OnDuplicate, OnUnknown};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{
    OrderPlaced, OrderShipped, Orders, ShippedOrUnknown, TolerantOrders,
};

use super::consuming::raw;
use super::orders;

/// Publishes a placed, an unknown, a shipped, an unknown and a placed order.
fn publish(bus: &mut impl MessageRepository) {
    orders().dispatch(bus, &OrderPlaced::number(1)).unwrap();
    bus.persist(
        &[raw("OrderTeleported", r#"{"to":"Mars"}"#)],
        OnDuplicate::Fail,
    )
    .unwrap();
    orders().dispatch(bus, &OrderShipped { order: 3 }).unwrap();
    bus.persist(&[raw("OrderVanished", "null")], OnDuplicate::Fail)
        .unwrap();
    orders().dispatch(bus, &OrderPlaced::number(5)).unwrap();
}

pub fn unknown_messages_are_skipped_and_counted<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    publish(&mut bus);
    let mut seen = Vec::new();
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        seen.push(message.payload().order());
        Ok(())
    })
    .on_unknown(OnUnknown::Skip)
    .page_size(2);
    while consumer.handle_page(&mut bus).unwrap() > 0 {}
    assert_eq!(consumer.skipped_messages(), 2);
    drop(consumer);
    assert_eq!(seen, [1, 3, 5]);
}

pub fn pages_of_unknown_messages_do_not_end_the_cycle<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    for _ in 0..10 {
        bus.persist(&[raw("OrderTeleported", "{}")], OnDuplicate::Fail)
            .unwrap();
    }
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap();
    let mut consumer = MessageConsumer::<Orders>::external("all", super::ignore)
        .on_unknown(OnUnknown::Skip)
        .page_size(2);
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 1);
    assert_eq!(consumer.skipped_messages(), 10);
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 0);
}

pub fn a_skipped_message_is_counted_once_when_the_next_one_fails<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    publish(&mut bus);
    let mut failures = 2;
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        if message.payload().order() == 3 && failures > 0 {
            failures -= 1;
            return Err("not now".into());
        }
        Ok(())
    })
    .on_unknown(OnUnknown::Skip);
    consumer.handle_page(&mut bus).unwrap_err();
    consumer.handle_page(&mut bus).unwrap_err();
    while consumer.handle_page(&mut bus).unwrap() > 0 {}
    assert_eq!(consumer.skipped_messages(), 2);
}

pub fn an_unknown_message_is_not_counted_when_the_hook_fails<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    bus.persist(&[raw("OrderTeleported", "{}")], OnDuplicate::Fail)
        .unwrap();
    let mut failures = 2;
    let mut consumer = MessageConsumer::<Orders>::external("all", super::ignore)
        .on_unknown(OnUnknown::Skip)
        .before_replay(move || {
            failures -= 1;
            if failures >= 0 {
                Err("not yet".into())
            } else {
                Ok(())
            }
        });
    consumer.handle_page(&mut bus).unwrap_err();
    consumer.handle_page(&mut bus).unwrap_err();
    assert_eq!(consumer.skipped_messages(), 0);
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 0);
    assert_eq!(consumer.skipped_messages(), 1);
}

pub fn broken_messages_are_not_skipped_as_unknown<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    bus.persist(&[raw("OrderPlaced", "{}")], OnDuplicate::Fail)
        .unwrap();
    let mut consumer =
        MessageConsumer::<Orders>::external("all", super::ignore).on_unknown(OnUnknown::Skip);
    let error = consumer.handle_page(&mut bus).unwrap_err();
    assert!(error.is_bad_message() && !error.is_unknown_message());
    assert_eq!(consumer.skipped_messages(), 0);
}

pub fn a_topics_unknown_variant_gets_unknown_messages<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    publish(&mut bus);
    let mut seen = Vec::new();
    let mut consumer =
        MessageConsumer::<TolerantOrders>::external("all", |message: &Message<TolerantOrders>| {
            seen.push(message.message_type().to_owned());
            if let TolerantOrders::Unknown(raw) = message.payload() {
                assert_eq!(raw.message_id, message.message_id());
                assert_eq!(raw.topic, "orders");
            }
            Ok(())
        });
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 5);
    drop(consumer);
    let types = [
        "OrderPlaced",
        "OrderTeleported",
        "OrderShipped",
        "OrderVanished",
        "OrderPlaced",
    ];
    assert_eq!(seen, types);
}

pub fn an_event_sets_unknown_variant_gets_unknown_messages_only<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    publish(&mut bus);
    let mut seen = Vec::new();
    let mut consumer = MessageConsumer::<ShippedOrUnknown>::external(
        "shipped",
        |message: &Message<ShippedOrUnknown>| {
            seen.push(match message.payload() {
                ShippedOrUnknown::Shipped(shipped) => shipped.order.to_string(),
                ShippedOrUnknown::Unknown(raw) => raw.payload.clone(),
            });
            Ok(())
        },
    );
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 3);
    drop(consumer);
    assert_eq!(seen, [r#"{"to":"Mars"}"#, "3", "null"]);
    let status = bus
        .stored_consumer(ConsumerKey {
            consumer: "shipped",
            topic: "orders",
        })
        .unwrap()
        .unwrap();
    assert_eq!(status.cursor, Some(bus.current_head("orders").unwrap()));
}
