// 5 errors: one for each mistake.
use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Serialize, Deserialize)]
struct OrderShipped {}

#[derive(Topic)]
#[topic(name = "")]
enum Orders {
    #[message(alias = "", version = 2)]
    OrderPlaced(OrderPlaced),
    #[message(version = 3)]
    OrderShipped(OrderShipped),
    OrderCancelled,
}

fn main() {}
