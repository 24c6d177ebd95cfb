use diesel::PgConnection;
use diesel::r2d2::{ConnectionManager, Pool};
use persisting_message_bus::{MessageDispatcher, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn dispatch(mut pool: Pool<ConnectionManager<PgConnection>>) {
    let _ = MessageDispatcher::<Orders>::new().dispatch(&mut pool, &OrderPlaced {});
}

fn main() {}
