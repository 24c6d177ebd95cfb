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

impl From<v1::OrderPlaced> for v2::OrderPlaced {
    fn from(_: v1::OrderPlaced) -> Self {
        Self {}
    }
}

impl From<v2::OrderPlaced> for OrderPlaced {
    fn from(_: v2::OrderPlaced) -> Self {
        Self {}
    }
}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    #[message(version = 4294967296)]
    OrderPlaced(OrderPlaced),
}

fn main() {
    let mut bus = persisting_message_bus::memory::InMemoryMessageBus::default();
    let orders = persisting_message_bus::MessageDispatcher::<Orders>::new();
    let _ = orders.dispatch(&mut bus, &OrderPlaced {});
}
