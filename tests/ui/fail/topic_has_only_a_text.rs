use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic("orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn main() {}
