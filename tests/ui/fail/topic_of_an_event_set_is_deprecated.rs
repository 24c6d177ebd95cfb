#![deny(deprecated)]

use persisting_message_bus::{EventSet, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

mod topics {
    use super::{OrderPlaced, Topic};

    #[derive(Topic)]
    #[topic(name = "orders")]
    #[deprecated]
    pub enum Orders {
        OrderPlaced(OrderPlaced),
    }
}

#[derive(EventSet)]
#[event_set(topic = topics::Orders)]
enum Wanted {
    OrderPlaced(OrderPlaced),
    #[allow(deprecated)]
    #[message(unknown)]
    Other(persisting_message_bus::backend::RawMessage),
}

fn main() {}
