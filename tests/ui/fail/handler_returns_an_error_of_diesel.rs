use diesel::{RunQueryDsl, SqliteConnection};
use persisting_message_bus::{Message, MessageConsumer, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn main() {
    let handler = |connection: &mut SqliteConnection, _: &Message<Orders>| {
        diesel::sql_query("DELETE FROM orders").execute(connection).map(drop)
    };
    let _ = MessageConsumer::<Orders>::transactional("all", handler);
}
