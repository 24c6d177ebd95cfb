use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {
    order_id: u64,
}

#[derive(Topic)]
#[topic(name = "orders", key = order_id)]
enum Orders {
    #[message(key = order_id: u64)]
    OrderPlaced(OrderPlaced),
}

fn main() {
    let mut bus = persisting_message_bus::memory::InMemoryMessageBus::default();
    let orders = persisting_message_bus::MessageDispatcher::<Orders>::new();
    let _ = orders.dispatch(&mut bus, &OrderPlaced { order_id: 1 });
}
