use persisting_message_bus::{EventSet, Message, MessageConsumer, MessageDispatcher, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Serialize, Deserialize)]
struct OrderShipped {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),,
    OrderShipped(OrderShipped),
}

#[derive(EventSet)]
#[event_set(topic = Orders)]
enum Placed {
    OrderPlaced(OrderPlaced),
}

fn main() {
    let placed = Orders::from(OrderPlaced {});
    let _ = Orders::NAME;
    let _ = MessageDispatcher::<Orders>::new();
    let _ = MessageConsumer::external("mailer", |_: &Message<Orders>| Ok(()));
    let _ = OrderPlaced::try_from(placed);
    let _ = Placed::SELECTIONS;
}
