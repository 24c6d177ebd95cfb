// Those who re-export the library say where it is.

mod company {
    pub mod events {
        pub use persisting_message_bus::*;
    }
}

use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(company::events::Topic)]
#[topic(name = "orders", crate = company::events)]
enum Orders {
    OrderPlaced(OrderPlaced),
}

#[derive(company::events::EventSet)]
#[event_set(topic = Orders, crate = crate::company::events)]
enum Placed {
    OrderPlaced(OrderPlaced),
}

fn main() {
    let _ = Orders::from(OrderPlaced {});
    let _ = <Placed as company::events::EventSet>::SELECTIONS;
}
