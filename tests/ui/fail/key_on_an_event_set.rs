use persisting_message_bus::{EventSet, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {
    order_id: u64,
}

#[derive(Topic)]
#[topic(name = "orders", key = order_id)]
enum Orders {
    OrderPlaced(OrderPlaced),
}

#[derive(EventSet)]
#[event_set(topic = Orders, key = order_id)]
enum Placed {
    OrderPlaced(OrderPlaced),
}

fn main() {}
