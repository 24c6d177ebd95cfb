use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
#[cfg_attr(all(), message(name = "Placed"))]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn main() {}
