//! The messages that a redrive selects, and their order.

use std::cell::RefCell;

use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::operate::{ConsumerKey, FailureState, MessageFailures, ParkedSelector};
use persisting_message_bus::{FailurePolicy, Message, MessageConsumer, Position};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{Ledger, OrderPlaced};

use super::{count_parked, park_all, redrive_all};
use crate::failing::{after, failed, place};
use crate::several_topics::{pay, ship};
use crate::{CONSUMER, consume, orders};

pub fn redriven_messages_come_in_order_and_before_new_ones<D: Database>() {
    let (_database, mut bus) = place::<D>(1..6);
    park_all(&mut bus);
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(6))
        .unwrap();
    assert_eq!(redrive_all(&mut bus), 5);
    assert_eq!(count_parked(&mut bus), 0);
    assert_eq!(consume(&mut bus, "all"), [1, 2, 3, 4, 5, 6]);
    for state in [FailureState::Parked, FailureState::Redriven] {
        assert!(failed(&mut bus, "all", state).is_empty());
    }
}

pub fn redriven_messages_of_two_topics_come_in_order<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    for order in 1..4 {
        ship(&mut bus, order);
        pay(&mut bus, order);
    }
    let mut refusing = MessageConsumer::<Ledger>::external("all", |_: &Message<Ledger>| {
        Err::<(), HandlerError>("closed".into())
    })
    .retry(after(1, FailurePolicy::Park));
    while refusing.handle_page(&mut bus).unwrap() > 0 {}
    for topic in ["orders", "payments"] {
        assert_eq!(
            bus.redrive(
                ConsumerKey {
                    consumer: "all",
                    topic
                },
                ParkedSelector::All
            )
            .unwrap(),
            3
        );
    }
    let seen = RefCell::new(Vec::new());
    let mut consumer = MessageConsumer::<Ledger>::external("all", |message: &Message<Ledger>| {
        seen.borrow_mut().push(message.position().get());
        Ok(())
    });
    consumer.handle_page(&mut bus).unwrap();
    drop(consumer);
    assert_eq!(seen.into_inner(), [1, 2, 3, 4, 5, 6]);
}

pub fn one_message_or_one_type_can_be_redriven<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    ship(&mut bus, 4);
    park_all(&mut bus);
    let second = ParkedSelector::At(Position::new(2));
    assert_eq!(bus.redrive(CONSUMER, second).unwrap(), 1);
    assert_eq!(consume(&mut bus, "all"), [2]);
    let again = bus.redrive(CONSUMER, second).unwrap_err();
    assert!(again.is_not_parked(), "{again:?}");
    assert_eq!(
        bus.redrive(
            ConsumerKey {
                consumer: "other",
                topic: "orders"
            },
            ParkedSelector::All
        )
        .unwrap(),
        0
    );
    assert_eq!(
        bus.redrive(
            ConsumerKey {
                consumer: "all",
                topic: "payments"
            },
            ParkedSelector::All
        )
        .unwrap(),
        0
    );
    let shipped = ParkedSelector::OfType("OrderShipped");
    assert_eq!(bus.redrive(CONSUMER, shipped).unwrap(), 1);
    assert_eq!(consume(&mut bus, "all"), [4]);
    assert_eq!(count_parked(&mut bus), 2);
}

pub fn discarded_messages_are_not_redriven<D: Database>() {
    let (_database, mut bus) = place::<D>(1..4);
    park_all(&mut bus);
    let second = ParkedSelector::At(Position::new(2));
    assert_eq!(bus.discard(CONSUMER, second).unwrap(), 1);
    assert_eq!(redrive_all(&mut bus), 2);
    assert_eq!(consume(&mut bus, "all"), [1, 3]);
}
