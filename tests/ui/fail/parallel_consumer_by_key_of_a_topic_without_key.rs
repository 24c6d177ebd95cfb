use persisting_message_bus::{MessageConsumer, ParallelConsumer, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {
    order: u32,
}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn main() {
    let make = || MessageConsumer::<Orders>::external("mailer", |_| Ok(()));
    ParallelConsumer::by_key(make);
}
