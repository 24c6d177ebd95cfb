use persisting_message_bus::{EventSet, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Serialize, Deserialize)]
struct Paid {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "payments")]
enum Payments {
    Paid(Paid),
}

#[derive(EventSet)]
enum Ledger {
    #[event_set(topic = Orders)]
    OrderPlaced(OrderPlaced),
    #[event_set(topic = self::Orders)]
    Again(OrderPlaced),
}

fn main() {}
