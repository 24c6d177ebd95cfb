// 4 errors: one for each trait, because a derive does not see what an alias stands for.
use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

type Alias = OrderPlaced;

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
    Again(Alias),
}

fn main() {}
