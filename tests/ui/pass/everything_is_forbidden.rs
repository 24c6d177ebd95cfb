// The derives add no `allow`, no dead code and no names that a lint refuses.
#![forbid(
    unused,
    deprecated,
    future_incompatible,
    nonstandard_style,
    keyword_idents
)]
#![deny(warnings)]

use persisting_message_bus::{EventSet, Topic, backend::RawMessage};

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(String),
    OrderShipped(Box<u64>),
    #[message(unknown)]
    Unknown(RawMessage),
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
