use diesel::SqliteConnection;
use persisting_message_bus::{Error, Message, MessageConsumer, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn handle(_: &mut SqliteConnection, _: &[Message<Orders>]) -> Result<(), Error> {
    Ok(())
}

fn main() {
    let _ = MessageConsumer::<Orders>::transactional_pages("all", handle);
}
