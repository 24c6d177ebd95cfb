use diesel::{Connection, PgConnection};
use persisting_message_bus::Topic;
use persisting_message_bus::asynchronous::Runner;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn run() {
    let _ = Runner::new(async || PgConnection::establish("postgres://localhost/shop"));
}

fn main() {}
