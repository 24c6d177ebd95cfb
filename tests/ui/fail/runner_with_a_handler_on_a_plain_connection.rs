use diesel::PgConnection;
use diesel::r2d2::{ConnectionManager, Pool};
use persisting_message_bus::{Message, MessageConsumer, Runner, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn run(pool: Pool<ConnectionManager<PgConnection>>) {
    let handler = |_: &mut PgConnection, _: &Message<Orders>| Ok(());
    let consumer = MessageConsumer::<Orders>::transactional("all", handler);
    let _ = Runner::on_pool(pool).consumer(consumer).start();
}

fn main() {}
