use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[event_set(topic = Orders)]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn main() {}
