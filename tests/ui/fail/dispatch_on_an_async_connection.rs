use diesel_async::AsyncPgConnection;
use persisting_message_bus::{MessageDispatcher, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn publish(connection: &mut AsyncPgConnection) {
    let _ = MessageDispatcher::<Orders>::new().dispatch(connection, &OrderPlaced {});
}

fn main() {}
