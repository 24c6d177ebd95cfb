// The derives go with `forbid(warnings)`.
#![forbid(warnings)]

use persisting_message_bus::{EventSet, Topic};

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(String),
    OrderShipped(Box<u64>),
}

#[derive(EventSet)]
#[event_set(topic = Orders)]
enum Wanted {
    OrderPlaced(String),
}

fn main() {
    let _ = Orders::from(String::new());
    let _ = Orders::from(7);
    let _ = Wanted::SELECTIONS;
}
