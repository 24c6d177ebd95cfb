//! The cursors and leases of several topics.

use std::thread;
use std::time::Duration;

use persisting_message_bus::backend::{LeaseRequest, MessageConsumerState, MessageSource};
use persisting_message_bus::operate::ConsumerKey;
use persisting_message_bus::{FailurePolicy, Message, MessageConsumer, OnAdded, Position};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{Closed, Ledger, OrderPlaced, Orders};

use super::{cursor, number, pay, ship};
use crate::failing::after;
use crate::leases::HOUR;
use crate::{ignore, orders, stored};

pub fn each_topic_has_its_cursor<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    ship(&mut bus, 1);
    pay(&mut bus, 2);
    pay(&mut bus, 3);
    orders()
        .dispatch(&mut bus, &OrderPlaced::number(4))
        .unwrap();
    let mut consumer = MessageConsumer::<Ledger>::external("ledger", ignore);
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 3);
    for topic in ["orders", "payments"] {
        let head = bus.current_head(topic).unwrap();
        assert_eq!(cursor(&mut bus, topic), Some(head));
    }
}

pub fn cursors_of_all_topics_commit_with_the_effects<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    for order in 0..10 {
        match order % 2 {
            0 => ship(&mut bus, order),
            _ => pay(&mut bus, order),
        }
    }
    let mut fails = true;
    let mut consumer = MessageConsumer::<Ledger>::transactional(
        "ledger",
        |bus: &mut D::Bus, message: &Message<Ledger>| {
            orders().dispatch(bus, &OrderPlaced::number(number(message)))?;
            if number(message) == 6 && std::mem::take(&mut fails) {
                Err("not now".into())
            } else {
                Ok(())
            }
        },
    )
    .retry(after(8, FailurePolicy::Stop));
    consumer.handle_page(&mut bus).unwrap_err();
    assert_eq!(cursor(&mut bus, "payments"), Some(Position::new(6)));
    assert_eq!(cursor(&mut bus, "orders"), Some(Position::new(5)));
    let mut consumer = MessageConsumer::<Ledger>::transactional(
        "ledger",
        |bus: &mut D::Bus, message: &Message<Ledger>| {
            orders().dispatch(bus, &OrderPlaced::number(number(message)))?;
            Ok(())
        },
    );
    while consumer.handle_page(&mut bus).unwrap() > 0 {}
    let stored = stored(&mut bus, "orders");
    let effects = stored
        .iter()
        .filter(|(_, raw)| raw.message_type == "OrderPlaced");
    let effects = effects.map(|(_, raw)| {
        serde_json::from_str::<OrderPlaced>(&raw.payload)
            .unwrap()
            .order
    });
    assert_eq!(effects.collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
}

pub fn the_lease_of_a_topic_without_messages_is_renewed_too<D: Database>() {
    let database = D::create();
    let (mut bus, mut other) = (database.connect(), database.connect());
    for order in 0..4 {
        pay(&mut bus, order);
    }
    let mut ends = Vec::new();
    let mut consumer = MessageConsumer::<Ledger>::external("ledger", |_: &Message<Ledger>| {
        let status = other.stored_consumer(ConsumerKey {
            consumer: "ledger",
            topic: "orders",
        })?;
        ends.push(status.and_then(|status| status.lease_expires_at));
        // More than a third of the lease duration, after which the leases are renewed.
        thread::sleep(Duration::from_millis(60));
        Ok(())
    })
    .lease_duration(Duration::from_millis(150));
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 4);
    drop(consumer);
    assert!(ends.is_sorted_by(|one, next| one < next), "{ends:?}");
}

pub fn leases_of_other_topics_are_released_when_one_topic_is_held<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    ship(&mut bus, 1);
    pay(&mut bus, 2);
    let request = LeaseRequest {
        consumer: "ledger",
        topic: "payments",
        segment: None,
        owner: "another process",
        duration: HOUR,
        identity: Default::default(),
        hands_out: false,
    };
    bus.acquire(&request).unwrap();
    let mut consumer = MessageConsumer::<Ledger>::external("ledger", ignore);
    assert!(consumer.handle_page(&mut bus).unwrap_err().is_lease_held());
    let mut of_orders = MessageConsumer::<Orders>::external("ledger", ignore);
    assert_eq!(of_orders.handle_page(&mut bus).unwrap(), 1);
}

pub fn the_hook_runs_only_when_all_topics_start<D: Database>() {
    let database = D::create();
    let mut bus = database.connect();
    ship(&mut bus, 1);
    let mut of_orders = MessageConsumer::<Closed>::external("ledger", ignore);
    of_orders.handle_page(&mut bus).unwrap();
    pay(&mut bus, 2);
    let mut consumer = MessageConsumer::<Ledger>::external("ledger", ignore)
        .on_added(OnAdded::Replay)
        .before_replay(|| Err("the consumer does not start at the beginning".into()));
    assert_eq!(consumer.handle_page(&mut bus).unwrap(), 1);
}
