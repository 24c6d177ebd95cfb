use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

mod topics {
    use super::OrderPlaced;
    use persisting_message_bus::Topic;
    #[derive(Topic)]
    #[topic(name = "orders")]
    enum Orders {
        OrderPlaced(super::OrderPlaced),
        Again(OrderPlaced),
    }
}

fn main() {}
