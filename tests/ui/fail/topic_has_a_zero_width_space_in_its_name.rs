use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "ord\u{200B}ers")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn main() {}
