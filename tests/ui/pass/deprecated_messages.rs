// A message that is not to be dispatched any more can stay on its topic.
#![deny(warnings)]

use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[deprecated]
pub struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
#[allow(deprecated)]
pub enum Orders {
    OrderPlaced(OrderPlaced),
}

fn main() {
    assert_eq!(Orders::NAME, "orders");
}
