// Only the `Box` of the standard library is taken off.
use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Serialize, Deserialize)]
struct OrderShipped {}

mod own {
    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct Box<T> {
        pub inner: T,
    }
}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(own::Box<OrderPlaced>),
    B(Box<OrderPlaced>),
    C(std::boxed::Box<OrderShipped>),
}

fn main() {
    let _ = Orders::from(own::Box {
        inner: OrderPlaced {},
    });
    let _ = Orders::from(OrderPlaced {});
    let _ = Orders::from(OrderShipped {});
}
