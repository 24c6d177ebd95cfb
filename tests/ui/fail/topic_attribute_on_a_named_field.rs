use persisting_message_bus::{Topic, backend::RawMessage};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    #[message(unknown)]
    Unknown(RawMessage),
    OrderPlaced(#[topic] OrderPlaced),
}

fn main() {}
