use diesel::PgConnection;
use persisting_message_bus::Topic;
use persisting_message_bus::asynchronous::MessageDispatcher;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

async fn publish(connection: &mut PgConnection) {
    let _ = MessageDispatcher::<Orders>::new()
        .dispatch(connection, &OrderPlaced {})
        .await;
}

fn main() {}
