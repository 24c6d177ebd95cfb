use persisting_message_bus::{EventSet, Message, MessageConsumer, Topic};
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

#[derive(EventSet)]
#[event_set(topic = Orders)]
enum Revenue {
    OrderPlaced(OrderPlaced),
    Paid(Paid),
}

fn main() {
    let _ = MessageConsumer::<Revenue>::external("all", |_: &Message<Revenue>| Ok(()));
}
