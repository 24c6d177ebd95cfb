use persisting_message_bus::{Topic, topics};
use persisting_message_bus::backend::TopicDescriptor;
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
#[topic(name = "orders")]
enum Payments {
    Paid(Paid),
}

const TOPICS: &[TopicDescriptor] = topics![Orders, Payments];

fn main() {
    let _ = TOPICS;
}
