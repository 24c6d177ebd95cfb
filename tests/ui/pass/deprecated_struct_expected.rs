// A lint level on the enum or on a variant holds for the code of the derives.
#![deny(deprecated)]

use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Serialize, Deserialize)]
#[deprecated]
struct Old {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
    #[expect(deprecated)]
    Old(Old),
    #[allow(deprecated)]
    Oldest(Box<Oldest>),
}

#[deprecated]
#[derive(Serialize, Deserialize)]
struct Oldest {}

fn main() {}
