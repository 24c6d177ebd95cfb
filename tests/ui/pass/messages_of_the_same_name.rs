// Structs of the same name in different modules are different messages.
use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

mod v1 {
    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct OrderPlaced {}

    pub mod v2 {
        #[derive(serde::Serialize, serde::Deserialize)]
        pub struct OrderPlaced {}
    }
}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
    First(v1::OrderPlaced),
    First2(crate::v1::v2::OrderPlaced),
}

mod topics {
    #[derive(persisting_message_bus::Topic)]
    #[topic(name = "x")]
    enum OrderPlaced {
        OrderPlaced(super::OrderPlaced),
    }
}

fn main() {}
