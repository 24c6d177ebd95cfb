use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {
    order_id: u64,
}

#[derive(Serialize, Deserialize)]
struct OrderShipped {
    order_id: u64,
}

fn key_of_shipped(shipped: &OrderShipped) -> String {
    shipped.order_id.to_string()
}

#[derive(Topic)]
#[topic(name = "orders", key = order_id)]
enum Orders {
    OrderPlaced(OrderPlaced),
    #[message(key = fn key_of_shipped)]
    OrderShipped(OrderShipped),
}

fn main() {
    let mut bus = persisting_message_bus::memory::InMemoryMessageBus::default();
    let orders = persisting_message_bus::MessageDispatcher::<Orders>::new();
    let _ = orders.dispatch(&mut bus, &OrderPlaced { order_id: 1 });
}
