use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus::{MessageDispatcher, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Serialize, Deserialize)]
struct Paid {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn main() {
    let mut bus = InMemoryMessageBus::default();
    let orders = MessageDispatcher::<Orders>::new();
    let _ = orders.dispatch(&mut bus, &Paid {});
}
