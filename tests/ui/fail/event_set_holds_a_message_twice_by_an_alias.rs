use persisting_message_bus::{EventSet, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

type Placed = OrderPlaced;

#[derive(EventSet)]
#[event_set(topic = Orders)]
enum Ledger {
    OrderPlaced(OrderPlaced),
    Again(Placed),
}

fn main() {}
