use persisting_message_bus::{Message, MessageConsumer, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn main() {
    let consumer = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| Ok(()));
    let _ = consumer.before_replay(|| println!("replaying"));
}
