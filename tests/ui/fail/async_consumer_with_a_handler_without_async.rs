use persisting_message_bus::asynchronous::MessageConsumer;
use persisting_message_bus::{Message, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn consumer() {
    let _ = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| Ok(()));
}

fn main() {}
