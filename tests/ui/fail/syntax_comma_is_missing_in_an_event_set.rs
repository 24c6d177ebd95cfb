use persisting_message_bus::{EventSet, Message, MessageConsumer, Topic};
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
}

#[derive(EventSet)]
#[event_set(topic = Orders)]
enum Wanted {
    OrderPlaced(OrderPlaced)
    OrderShipped(OrderShipped),
}

fn main() {
    let _ = Wanted::SELECTIONS;
    let _ = MessageConsumer::external("mailer", |_: &Message<Wanted>| Ok(()));
}
