// The compiler does not warn of messages that a consumer only counts.
#![deny(warnings)]

use persisting_message_bus::{EventSet, Message, MessageConsumer, Topic, backend::RawMessage};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Serialize, Deserialize)]
struct OrderShipped {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
    OrderShipped(OrderShipped),
    #[message(unknown)]
    Unknown(RawMessage),
}

#[derive(EventSet)]
#[event_set(topic = Orders)]
enum Wanted {
    OrderPlaced(OrderPlaced),
    OrderShipped(Box<OrderShipped>),
    #[message(unknown)]
    Unknown(RawMessage),
}

fn main() {
    let _ = Orders::from(OrderPlaced {});
    let _ = Orders::from(OrderShipped {});
    let _ = MessageConsumer::external("counter", |message: &Message<Wanted>| {
        match message.payload() {
            Wanted::OrderPlaced(_) | Wanted::OrderShipped(_) | Wanted::Unknown(_) => Ok(()),
        }
    });
}
