use persisting_message_bus::Topic;
use persisting_message_bus::backend::RawMessage;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
    #[message(unknown)]
    Unknown(RawMessage),
    #[message(unknown)]
    Other(RawMessage),
}

fn main() {
    let mut bus = persisting_message_bus::memory::InMemoryMessageBus::default();
    let orders = persisting_message_bus::MessageDispatcher::<Orders>::new();
    let _ = orders.dispatch(&mut bus, &OrderPlaced {});
}
