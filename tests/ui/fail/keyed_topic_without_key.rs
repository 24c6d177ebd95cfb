use persisting_message_bus::{Keyed, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {
    order_id: u64,
}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn by_key<S: Keyed>() {}

fn main() {
    by_key::<Orders>();
}
