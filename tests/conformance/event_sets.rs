use persisting_message_bus::backend::{MessageConsumerState, MessageRepository, MessageSource};
use persisting_message_bus::operate::ConsumerKey;
use persisting_message_bus::{Message, MessageConsumer, OnDuplicate};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{
    Closed, OrderCancelled, OrderPlaced, OrderShipped, Orders,
};

use super::consuming::raw;
use super::{ignore, orders};

/// Publishes orders, of which every third is shipped and every fifth is cancelled.
fn publish(bus: &mut impl MessageRepository, numbers: std::ops::Range<u64>) {
    let batch = numbers.map(|order| match order {
        _ if order % 3 == 0 => Orders::Shipped(OrderShipped { order }),
        _ if order % 5 == 0 => Orders::Cancelled(Box::new(cancelled(order))),
        _ => Orders::OrderPlaced(OrderPlaced::number(order)),
    });
    orders().dispatch_batch(bus, batch).unwrap();
}

fn cancelled(order: u64) -> OrderCancelled {
    OrderCancelled {
        order,
        reason: None,
    }
}

pub fn only_the_chosen_messages_come<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    publish(&mut bus, 1..11);
    let mut seen = Vec::new();
    let mut consumer =
        MessageConsumer::<Closed>::external("closed", |message: &Message<Closed>| {
            seen.push(message.payload().clone());
            assert_eq!(message.topic(), "orders");
            Ok(())
        });
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 5);
    drop(consumer);
    let shipped = |order| Closed::Shipped(OrderShipped { order });
    let cancelled = |order| Closed::Cancelled(cancelled(order));
    let expected = [
        shipped(3),
        cancelled(5),
        shipped(6),
        shipped(9),
        cancelled(10),
    ];
    assert_eq!(seen, expected);
}

pub fn the_cursor_passes_messages_outside_the_set<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let batch = (0..20).map(OrderPlaced::number);
    orders().dispatch_batch(&mut bus, batch).unwrap();
    let mut consumer = MessageConsumer::<Closed>::external("closed", ignore);
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 0);
    let head = bus.current_head("orders").unwrap();
    let status = bus
        .stored_consumer(ConsumerKey {
            consumer: "closed",
            topic: "orders",
        })
        .unwrap()
        .unwrap();
    assert_eq!(status.cursor, Some(head));
}

pub fn a_page_counts_only_messages_of_the_set<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    publish(&mut bus, 1..31);
    let mut consumer = MessageConsumer::<Closed>::external("closed", ignore).page_size(5);
    let pages: Vec<_> = (0..4)
        .map(|_| consumer.handle_page(&mut bus).unwrap())
        .collect();
    assert_eq!(pages, [5, 5, 4, 0]);
}

pub fn an_alias_is_chosen_with_its_message<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let old = raw("OrderSent", r#"{"order":4}"#);
    bus.persist(&[old], OnDuplicate::Fail).unwrap();
    let mut consumer =
        MessageConsumer::<Closed>::external("closed", |message: &Message<Closed>| {
            assert_eq!(message.message_type(), "OrderShipped");
            Ok(())
        });
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 1);
}

pub fn a_message_outside_the_set_is_no_error<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    let outside = [raw("OrderTeleported", "{}"), raw("OrderPlaced", "null")];
    bus.persist(&outside, OnDuplicate::Fail).unwrap();
    publish(&mut bus, 3..4);
    let mut consumer = MessageConsumer::<Closed>::external("closed", ignore);
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 1);
}
