//! Consumers of several topics.

pub mod cursors;
pub mod failures;
pub mod order;

use persisting_message_bus::backend::{MessageConsumerState, MessageRepository};
use persisting_message_bus::operate::ConsumerKey;
use persisting_message_bus::{Message, MessageDispatcher, Position};
use persisting_message_bus_tests::topics::{Ledger, OrderShipped, Paid, Payments};

use crate::orders;

fn payments() -> MessageDispatcher<Payments> {
    MessageDispatcher::new()
}

pub fn ship(bus: &mut impl MessageRepository, order: u64) {
    orders().dispatch(bus, &OrderShipped { order }).unwrap();
}

pub fn pay(bus: &mut impl MessageRepository, order: u64) {
    payments().dispatch(bus, &Paid { order }).unwrap();
}

pub fn number(message: &Message<Ledger>) -> u64 {
    match message.payload() {
        Ledger::Shipped(shipped) => shipped.order,
        Ledger::Cancelled(cancelled) => cancelled.order,
        Ledger::Paid(paid) => paid.order,
    }
}

fn cursor(bus: &mut impl MessageConsumerState, topic: &str) -> Option<Position> {
    let status = bus
        .stored_consumer(ConsumerKey {
            consumer: "ledger",
            topic,
        })
        .unwrap();
    status.and_then(|status| status.cursor)
}
