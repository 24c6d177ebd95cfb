use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    #[message(alias = "\u{FEFF}Placed")]
    OrderPlaced(OrderPlaced),
}

fn main() {}
