// 2 errors: the compiler reports the attribute, and the name is missing.
use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topc(name = "x")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn main() {}
