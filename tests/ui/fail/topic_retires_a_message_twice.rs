use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Serialize, Deserialize)]
struct OrderShipped {}

#[derive(Topic)]
#[topic(name = "orders", retired = "CouponUsed")]
#[topic(retired = "CouponUsed")]
enum Orders {
    OrderPlaced(OrderPlaced),
    #[message(name = "OrderShipped", alias = "OrderSent")]
    Shipped(OrderShipped),
}

fn main() {
    let mut bus = persisting_message_bus::memory::InMemoryMessageBus::default();
    let orders = persisting_message_bus::MessageDispatcher::<Orders>::new();
    let _ = orders.dispatch(&mut bus, &OrderPlaced {});
}
