// `Self` is the enum wherever the user writes it.
use persisting_message_bus::{EventSet, Topic};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Serialize, Deserialize)]
struct OrderShipped {}

trait Has {
    type Message;
    const SIZE: usize;
}

impl Has for Orders {
    type Message = OrderPlaced;
    const SIZE: usize = 2;
}

impl Orders {
    fn upcast(value: Value) -> Result<Value, std::fmt::Error> {
        Ok(value)
    }
    const N: usize = 3;
}
#[derive(Serialize, Deserialize)]
struct Sized<const N: usize> {}
#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    #[message(version = 2, previous(1 = json(Self::upcast)))]
    OrderPlaced(<Self as Has>::Message),
    Sized(Sized<{ Self::N }>),
    Boxed(Box<Sized<{ <Self as Has>::SIZE }>>),
    Array([u8; Self::N + 1]),
    #[message(version = 3, previous(1 = json(<Self>::upcast), 2 = <Self as Has>::Message))]
    Shipped(OrderShipped),
}

impl From<OrderPlaced> for OrderShipped {
    fn from(_: OrderPlaced) -> Self {
        Self {}
    }
}

impl Has for Wanted {
    type Message = OrderPlaced;
    const SIZE: usize = 2;
}
#[derive(EventSet)]
#[event_set(topic = Orders)]
enum Wanted {
    OrderPlaced(<Self as Has>::Message),
    Sized(Sized<{ Orders::N }>),
}

fn main() {
    let _ = Orders::from(OrderPlaced {});
}
