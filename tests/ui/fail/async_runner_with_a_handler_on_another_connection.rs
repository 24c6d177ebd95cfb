use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::deadpool::Pool;
use persisting_message_bus::asynchronous::{MessageConsumer, Runner};
use persisting_message_bus::{Message, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

async fn handle(
    _: &mut AsyncPgConnection,
    _: &Message<Orders>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    Ok(())
}

fn run(pool: Pool<AsyncPgConnection>) {
    let consumer = MessageConsumer::<Orders>::transactional("all", handle);
    let _ = Runner::on_pool(pool).consumer(consumer);
}

fn main() {}
