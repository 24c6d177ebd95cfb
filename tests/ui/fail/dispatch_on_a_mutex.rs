use std::sync::{Arc, Mutex};

use diesel::SqliteConnection;
use persisting_message_bus::{MessageDispatcher, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn dispatch(mut connection: Arc<Mutex<SqliteConnection>>) {
    let _ = MessageDispatcher::<Orders>::new().dispatch(&mut connection, &OrderPlaced {});
}

fn main() {}
