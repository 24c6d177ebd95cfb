use persisting_message_bus::{Message, MessageConsumer, Topic};
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
#[topic(name = "payments")]
enum Payments {
    Paid(Paid),
    Refunded(OrderPlaced),
}

fn main() {
    let _ = MessageConsumer::<Payments>::external("all", |message: &Message<Payments>| {
        match message.payload() {
            Payments::Paid(_) => Ok(()),
        }
    });
}
