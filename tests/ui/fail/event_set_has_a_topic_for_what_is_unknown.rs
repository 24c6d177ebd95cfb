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
#[event_set(topic = Orders)]
enum Ledger {
    OrderPlaced(OrderPlaced),
    #[event_set(topic = Payments)]
    #[message(unknown)]
    Unknown(persisting_message_bus::backend::RawMessage),
}

fn main() {}
