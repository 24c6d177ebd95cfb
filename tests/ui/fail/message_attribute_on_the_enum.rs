use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
#[message(name = "Placed", version = 7)]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn main() {}
