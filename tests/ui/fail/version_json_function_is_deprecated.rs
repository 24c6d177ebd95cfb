#![deny(deprecated)]

use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Serialize, Deserialize)]
struct OrderShipped {}

#[deprecated]
fn upcast(value: Value) -> Result<Value, std::fmt::Error> {
    Ok(value)
}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    #[message(version = 2, previous(1 = json(upcast)))]
    OrderPlaced(OrderPlaced),
    #[deprecated]
    OrderShipped(OrderShipped),
}

fn main() {}
