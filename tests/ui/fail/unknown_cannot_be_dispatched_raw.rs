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
}

fn main() {
    let mut bus = persisting_message_bus::memory::InMemoryMessageBus::default();
    let orders = persisting_message_bus::MessageDispatcher::<Orders>::new();
    let raw: RawMessage = bus.messages.messages().remove(0);
    let _ = orders.dispatch(&mut bus, &raw);
}
