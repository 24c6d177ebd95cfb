//! Parked messages that are redriven.

pub mod consumer_state;
pub mod leases;
pub mod order;
pub mod outcomes;

use std::time::Duration;

use persisting_message_bus::backend::MessageRepository;
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::operate::ParkedSelector;
use persisting_message_bus::{FailurePolicy, Message, MessageConsumer, MessageDispatcher};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{Orders, Paid, Payments};

use crate::failing::{after, place};
use crate::{CONSUMER, TestBus, stored};

/// Publishes orders of these numbers, parks each and redrives each.
fn redriven<D: Database>(numbers: std::ops::Range<u64>) -> (D, D::Bus) {
    let (database, mut bus) = place::<D>(numbers);
    park_all(&mut bus);
    redrive_all(&mut bus);
    (database, bus)
}

/// Parks every order of the consumer "all".
fn park_all(bus: &mut impl TestBus) {
    let refuse = |_: &Message<Orders>| -> Result<(), HandlerError> { Err("closed".into()) };
    let mut consumer =
        MessageConsumer::<Orders>::external("all", refuse).retry(after(1, FailurePolicy::Park));
    consumer = consumer.unknown_timeout(Duration::ZERO);
    while consumer.handle_page(bus).unwrap() > 0 {}
    let stored = stored(bus, "orders").len();
    assert_eq!(count_parked(bus), stored as u64);
}

/// Redrives every parked order of the consumer "all", and returns their number.
fn redrive_all(bus: &mut impl TestBus) -> u64 {
    bus.redrive(CONSUMER, ParkedSelector::All).unwrap()
}

fn count_parked(bus: &mut impl TestBus) -> u64 {
    bus.count_parked(CONSUMER).unwrap()
}

/// Handles all orders with the consumer "all", and parks order 2.
pub fn refuse_second(bus: &mut impl TestBus) {
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        match message.payload().order() {
            2 => Err("no stock".into()),
            _ => Ok(()),
        }
    })
    .retry(after(1, FailurePolicy::Park));
    while consumer.handle_page(bus).unwrap() > 0 {}
}

/// Applies the effect of a message: a payment for its order.
pub fn pay<B: MessageRepository>(
    bus: &mut B,
    message: &Message<Orders>,
) -> Result<(), HandlerError> {
    let order = message.payload().order();
    MessageDispatcher::<Payments>::new().dispatch(bus, &Paid { order })?;
    Ok(())
}

fn paid(bus: &mut impl TestBus) -> Vec<u64> {
    stored(bus, "payments")
        .into_iter()
        .map(|(_, raw)| serde_json::from_str::<Paid>(&raw.payload).unwrap().order)
        .collect()
}
