// The derives allow nothing that the crate forbids.
#![forbid(deprecated)]

use persisting_message_bus::{EventSet, Topic, backend::RawMessage};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Serialize, Deserialize)]
struct OrderShipped {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
    OrderShipped(OrderShipped),
    #[message(unknown)]
    Unknown(RawMessage),
}

#[derive(EventSet)]
#[event_set(topic = Orders)]
enum Wanted {
    OrderPlaced(OrderPlaced),
}

fn main() {}
