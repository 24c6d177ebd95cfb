use diesel::PgConnection;
use diesel::r2d2::{ConnectionManager, Pool};
use persisting_message_bus::{Message, MessageConsumer, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn consume(pool: &Pool<ConnectionManager<PgConnection>>) {
    let mut consumer = MessageConsumer::<Orders>::external("all", |_: &Message<Orders>| Ok(()));
    let _ = consumer.handle_page(&mut &*pool);
}

fn main() {}
