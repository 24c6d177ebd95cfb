//! Messages of types that their topic has retired.

use std::time::Duration;

use persisting_message_bus::backend::{MessageRepository, RawMessage};
use persisting_message_bus::operate::{
    ConsumerCondition, ConsumerStatus, FailureState, MessageFailures, ParkedSelector,
};
use persisting_message_bus::{
    EventSet, FailurePolicy, Message, MessageConsumer, MessageDispatcher, OnDuplicate,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{OrderPlaced, OrderShipped, Orders, retired};

use super::consuming::raw;
use super::failing::{after, failed};
use super::{CONSUMER, TestBus, ignore, orders, stored_consumer};

/// Publishes a placed order, a used coupon, a shipped order, an unknown message and two messages of
/// retired types.
fn publish(bus: &mut impl MessageRepository) {
    let orders = orders();
    orders.dispatch(bus, &OrderPlaced::number(1)).unwrap();
    persist(bus, raw("CouponUsed", r#"{"coupon":2}"#));
    orders.dispatch(bus, &OrderShipped { order: 3 }).unwrap();
    persist(bus, raw("OrderVanished", "null"));
    persist(bus, raw("OrderTeleported", r#"{"to":"Mars"}"#));
    persist(bus, raw("CouponUsed", "null"));
}

fn persist(bus: &mut impl MessageRepository, message: RawMessage) {
    bus.persist(&[message], OnDuplicate::Fail).unwrap();
}

/// Returns the types of all messages that a consumer receives, and checks that it skips none as
/// unknown and that its cursor is at the end.
fn received<S: EventSet>(bus: &mut impl TestBus) -> Vec<String> {
    let mut types = Vec::new();
    let mut consumer = MessageConsumer::<S>::external("all", |message: &Message<S>| {
        types.push(message.message_type().to_owned());
        Ok(())
    })
    .page_size(2);
    while consumer.handle_page(bus).unwrap() > 0 {}
    assert_eq!(consumer.skipped_messages(), 0);
    drop(consumer);
    let head = bus.current_head("orders").unwrap();
    assert_eq!(stored_consumer(bus, CONSUMER).cursor, Some(head));
    types
}

pub fn messages_of_retired_types_are_not_selected<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    for order in 0..3 {
        for _ in 0..4 {
            persist(&mut bus, raw("CouponUsed", "null"));
        }
        let current = MessageDispatcher::<retired::Orders>::new();
        current.dispatch(&mut bus, &OrderShipped { order }).unwrap();
    }
    persist(&mut bus, raw("OrderTeleported", "null"));
    assert_eq!(received::<retired::Orders>(&mut bus), ["OrderShipped"; 3]);
}

pub fn unknown_variants_get_no_messages_of_retired_types<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    publish(&mut bus);
    let expected = ["OrderPlaced", "OrderShipped", "OrderVanished"];
    assert_eq!(received::<retired::TolerantOrders>(&mut bus), expected);

    let database = D::create();
    let mut bus = database.connect();
    publish(&mut bus);
    let expected = ["OrderShipped", "OrderVanished"];
    assert_eq!(received::<retired::ShippedOrUnknown>(&mut bus), expected);
}

pub fn a_consumer_continues_when_the_type_before_which_it_waits_is_retired<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    persist(&mut bus, raw("CouponUsed", "null"));
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(2))
        .unwrap();
    let mut waiting =
        MessageConsumer::<Orders>::external("all", ignore).retry(after(1, FailurePolicy::Stop));
    let error = waiting.handle_page(&mut bus).unwrap_err();
    assert!(error.is_unknown_message(), "{error:?}");
    drop(waiting);
    assert_eq!(failed(&mut bus, "all", FailureState::Unknown).len(), 1);
    assert_eq!(received::<retired::Orders>(&mut bus), ["OrderPlaced"]);
    let status = ConsumerStatus::read(&mut bus, CONSUMER).unwrap();
    assert_eq!(status.condition, ConsumerCondition::CaughtUp);
    assert_eq!(status.failure, None);
}

pub fn a_redriven_message_of_a_retired_type_is_forgotten<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    persist(&mut bus, raw("CouponUsed", "null"));
    persist(&mut bus, raw("OrderPlaced", r#"{"order":2,"note":""}"#));
    persist(&mut bus, raw("OrderVanished", "null"));
    let mut parking =
        MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| Err("closed".into()))
            .retry(after(1, FailurePolicy::Park))
            .unknown_timeout(Duration::ZERO);
    while parking.handle_page(&mut bus).unwrap() > 0 {}
    drop(parking);
    assert_eq!(bus.redrive(CONSUMER, ParkedSelector::All).unwrap(), 3);

    assert_eq!(received::<retired::Orders>(&mut bus), ["OrderPlaced"]);
    assert_eq!(failed(&mut bus, "all", FailureState::Parked), []);
    let redriven = failed(&mut bus, "all", FailureState::Redriven);
    let redriven: Vec<_> = redriven
        .iter()
        .map(|failed| failed.position.get())
        .collect();
    assert_eq!(
        redriven,
        [3],
        "an unknown message waits for a newer program"
    );
}
