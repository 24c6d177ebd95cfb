use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

fn up(v: Value) -> Result<Value, std::fmt::Error> {
    Ok(v)
}

struct N {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
    #[message(version = 2, previous(1 = json(up)))]
    N(N),
}

fn main() {}
