use diesel::SqliteConnection;
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::{Message, MessageConsumer, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

async fn handle(_: &mut SqliteConnection, _: &Message<Orders>) -> Result<(), HandlerError> {
    Ok(())
}

fn main() {
    let _ = MessageConsumer::<Orders>::transactional("all", handle);
}
