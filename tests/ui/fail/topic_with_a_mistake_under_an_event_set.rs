use persisting_message_bus::{EventSet, Topic, topics};
use persisting_message_bus::backend::TopicDescriptor;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Serialize, Deserialize)]
struct OrderShipped {}

#[derive(Serialize, Deserialize)]
struct Paid {}

#[derive(Topic)]
enum Orders {
    OrderPlaced(OrderPlaced),
    OrderShipped(OrderShipped),
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
    OrderShipped(OrderShipped),
    #[event_set(topic = Payments)]
    Paid(Paid),
}

const TOPICS: &[TopicDescriptor] = topics![Orders, Payments];

fn main() {
    let _ = TOPICS;
}
