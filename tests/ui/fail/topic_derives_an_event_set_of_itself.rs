use persisting_message_bus::{EventSet, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic, EventSet)]
#[topic(name = "orders")]
#[event_set(topic = Orders)]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn main() {}
