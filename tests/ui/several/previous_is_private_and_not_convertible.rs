// 2 errors: two mistakes.
use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

mod v1 {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct OrderPlaced {}
}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    #[message(version = 2, previous(1 = v1::OrderPlaced))]
    OrderPlaced(OrderPlaced),
}

fn main() {}
