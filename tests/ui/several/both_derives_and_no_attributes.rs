// 3 errors: each derive misses its attribute, and both are there.
use persisting_message_bus::{EventSet, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic, EventSet)]
#[allow(dead_code)]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn main() {}
