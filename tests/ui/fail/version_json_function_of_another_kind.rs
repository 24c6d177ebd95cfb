use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

mod v1 {
    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct OrderPlaced {}
}

mod v2 {
    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct OrderPlaced {}
}

fn upcast(payload: String) -> String {
    payload
}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    #[message(version = 2, previous(1 = json(upcast)))]
    OrderPlaced(OrderPlaced),
}

fn main() {
    let mut bus = persisting_message_bus::memory::InMemoryMessageBus::default();
    let orders = persisting_message_bus::MessageDispatcher::<Orders>::new();
    let _ = orders.dispatch(&mut bus, &OrderPlaced {});
}
