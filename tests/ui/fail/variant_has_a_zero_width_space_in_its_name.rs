use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    #[message(name = "Placed\u{200B}")]
    OrderPlaced(OrderPlaced),
}

fn main() {}
