use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

fn up(v: Value) -> Result<Value, std::fmt::Error> {
    Ok(v)
}
impl From<OrderPlaced> for N {
    fn from(_: OrderPlaced) -> Self {
        Self {}
    }
}

struct N {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
    #[message(version = 3, previous(1 = json(up), 2 = OrderPlaced))]
    N(N),
}

fn main() {}
