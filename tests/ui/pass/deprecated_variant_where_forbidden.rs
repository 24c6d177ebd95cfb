// A deprecated variant is not used by the code of the derives.
#![forbid(deprecated)]

use persisting_message_bus::{EventSet, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Serialize, Deserialize)]
struct OrderShipped {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
    #[deprecated]
    OrderShipped(OrderShipped),
}

#[derive(EventSet)]
#[event_set(topic = Orders)]
enum Wanted {
    #[deprecated]
    OrderPlaced(OrderPlaced),
}

fn main() {}
