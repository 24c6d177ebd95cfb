// A deprecated enum is not used by the code of the derives.
#![forbid(deprecated)]

use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
#[deprecated]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn main() {}
