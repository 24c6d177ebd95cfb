// Functions and constants of the user may have any name, those of the generated locals included.
#![allow(non_upper_case_globals, dead_code)]

use persisting_message_bus::{EventSet, Topic};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const message: u8 = 1;
const other: u8 = 1;
const topic: &str = "";
const decoded: u8 = 1;
const error: u8 = 1;
const index: u8 = 1;

mod upcasts {
    use super::*;

    pub fn message(value: Value) -> Result<Value, std::fmt::Error> {
        Ok(value)
    }

    pub fn payload(value: Value) -> Result<Value, std::fmt::Error> {
        Ok(value)
    }
}

mod topics {
    use super::upcasts::*;
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub struct OrderPlaced {}

    #[derive(Serialize, Deserialize)]
    pub struct OrderShipped {}

    #[derive(Topic)]
    #[topic(name = "orders")]
    pub enum Orders {
        #[message(version = 3, previous(1 = json(super::upcasts::message), 2 = json(payload)))]
        OrderPlaced(OrderPlaced),
        OrderShipped(OrderShipped),
    }

    #[derive(EventSet)]
    #[event_set(topic = Orders)]
    pub enum Placed {
        OrderPlaced(OrderPlaced),
        #[message(unknown)]
        Unknown(persisting_message_bus::backend::RawMessage),
    }
}

fn main() {
    let _ = topics::Orders::from(topics::OrderPlaced {});
}
