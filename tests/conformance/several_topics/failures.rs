//! A message of one topic that fails, and the messages of all topics after it.

use persisting_message_bus::backend::{MessageRepository, RawMessage};
use persisting_message_bus::{Message, MessageConsumer, OnDuplicate, Position};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::Ledger;

use super::{cursor, number, pay, ship};
use crate::consuming::raw;
use crate::ignore;

pub fn a_topic_that_is_ahead_loses_nothing<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    // 20 payments, a shipment, and another payment: the shipment is several pages of payments
    // later.
    for order in 0..20 {
        pay(&mut bus, order);
    }
    ship(&mut bus, 20);
    pay(&mut bus, 21);
    let mut seen = Vec::new();
    let mut failing = Some(12);
    let mut consumer =
        MessageConsumer::<Ledger>::external("ledger", |message: &Message<Ledger>| {
            if failing == Some(number(message)) {
                failing = None;
                return Err("not now".into());
            }
            seen.push(number(message));
            Ok(())
        })
        .page_size(5);
    let mut failures = 0;
    loop {
        match consumer.handle_page(&mut bus) {
            Ok(0) => break,
            Ok(_) => {}
            Err(_) => failures += 1,
        }
    }
    drop(consumer);
    assert_eq!(failures, 1);
    assert_eq!(seen, (0..22).collect::<Vec<_>>());
}

pub fn a_bad_message_stops_all_topics_after_it<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    pay(&mut bus, 1);
    bus.persist(&[raw("OrderShipped", "{}")], OnDuplicate::Fail)
        .unwrap();
    pay(&mut bus, 3);
    ship(&mut bus, 4);
    let bad_payment = RawMessage {
        topic: "payments".into(),
        ..raw("Paid", "{}")
    };
    bus.persist(&[bad_payment], OnDuplicate::Fail).unwrap();
    let mut seen = Vec::new();
    let mut consumer =
        MessageConsumer::<Ledger>::external("ledger", |message: &Message<Ledger>| {
            seen.push(number(message));
            Ok(())
        });
    for _ in 0..2 {
        let error = consumer.handle_page(&mut bus).unwrap_err();
        assert_eq!(error.position(), Some(Position::new(2)), "{error:?}");
    }
    drop(consumer);
    assert_eq!(seen, [1]);
    assert_eq!(cursor(&mut bus, "payments"), Some(Position::new(1)));
    assert_eq!(cursor(&mut bus, "orders"), None);
}

pub fn the_first_of_several_bad_messages_is_reported<D: Database>() {
    for first in ["orders", "payments"] {
        let database = D::create();
        let mut bus = database.connect();
        let second = match first {
            "orders" => "payments",
            _ => "orders",
        };
        for topic in [first, second] {
            pay(&mut bus, 1);
            ship(&mut bus, 2);
            let bad = RawMessage {
                topic: topic.into(),
                ..raw(
                    if topic == "orders" {
                        "OrderShipped"
                    } else {
                        "Paid"
                    },
                    "{}",
                )
            };
            bus.persist(&[bad], OnDuplicate::Fail).unwrap();
        }
        let mut consumer = MessageConsumer::<Ledger>::external("ledger", ignore);
        for _ in 0..2 {
            let error = consumer.handle_page(&mut bus).unwrap_err();
            assert_eq!(error.position(), Some(Position::new(3)), "{error:?}");
        }
    }
}
