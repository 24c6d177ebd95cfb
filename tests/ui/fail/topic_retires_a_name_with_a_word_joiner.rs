use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "x", retired = "Pla\u{2060}ced")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn main() {}
