// Retired types can be given in one attribute or in several, and in code that macros write. Names of
// other topics and of variants are free.
#![allow(dead_code)]

use persisting_message_bus::backend::RawMessage;
use persisting_message_bus::{EventSet, Topic};
use serde::{Deserialize, Serialize};

const RETIRED: &[&str] = &[];

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Serialize, Deserialize)]
struct Paid {}

#[derive(Topic)]
#[topic(retired = "CouponUsed", name = "orders", retired = "Placed")]
#[topic(retired = "Paid")]
enum Orders {
    #[message(name = "OrderPlaced")]
    Placed(OrderPlaced),
    #[message(unknown)]
    CouponUsed(RawMessage),
}

macro_rules! topic {
    ($name:literal without $($retired:literal)*) => {
        #[derive(Topic)]
        #[topic(name = $name, $(retired = $retired),*)]
        enum Payments {
            Paid(Paid),
        }
    };
}

topic!("payments" without "Refunded" "CouponUsed");

#[derive(EventSet)]
#[event_set(topic = Orders)]
enum Ledger {
    Placed(OrderPlaced),
    #[event_set(topic = Payments)]
    Paid(Paid),
    #[message(unknown)]
    Unknown(RawMessage),
}

fn main() {
    assert_eq!(Orders::RETIRED, ["CouponUsed", "Placed", "Paid"]);
    assert_eq!(Payments::RETIRED, ["Refunded", "CouponUsed"]);
    let retired: Vec<_> = Ledger::SELECTIONS
        .iter()
        .map(|selection| selection.retired)
        .collect();
    assert_eq!(retired, [Orders::RETIRED, Payments::RETIRED]);
}
