use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = NAME)]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn main() {}
