use persisting_message_bus::{EventSet, Keyed, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {
    order_id: u64,
}

#[derive(Serialize, Deserialize)]
struct Paid {
    order_id: u64,
}

#[derive(Topic)]
#[topic(name = "orders", key = order_id: u64)]
enum Orders {
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "payments")]
enum Payments {
    Paid(Paid),
}

#[derive(EventSet)]
enum Wanted {
    #[event_set(topic = Orders)]
    OrderPlaced(OrderPlaced),
    #[event_set(topic = Payments)]
    Paid(Paid),
}

fn by_key<S: Keyed>() {}

fn main() {
    by_key::<Wanted>();
}
