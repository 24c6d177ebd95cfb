use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Serialize, Deserialize)]
struct OrderShipped {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    #[message(version = 2, previous = OrderShipped)]
    OrderPlaced(OrderPlaced),
}

fn main() {}
