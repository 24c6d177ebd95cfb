// 21 errors: one for each topic.
use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name: "x")]
enum NameAfterAColon {
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name)]
enum NameWithoutValue {
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "a" + "b")]
enum NameOfASum {
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "a".to_string())]
enum NameOfACall {
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = ["a"])]
enum NameInAList {
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = 5)]
enum NameOfANumber {
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = b"x")]
enum NameOfBytes {
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = 'x')]
enum NameOfAChar {
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name =)]
enum NameMissing {
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name => "x")]
enum NameAfterAnArrow {
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(a::name = "x")]
enum NameUnderAPath {
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "x" crate = y)]
enum CommaMissing {
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "x",, crate = y)]
enum CommaTwice {
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic({ name = "x" })]
enum Block {
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(5)]
enum Number {
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "x", crate = "persisting_message_bus")]
enum LibraryInQuotes {
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "x", crate = a::<B>)]
enum LibraryWithArguments {
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "x", crate)]
enum LibraryMissing {
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "x", crate(persisting_message_bus))]
enum LibraryInACall {
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "x", retired = ["A", "B"])]
enum RetiredList {
    OrderPlaced(OrderPlaced),
}

#[derive(Topic)]
#[topic(name = "x", retired)]
enum RetiredMissing {
    OrderPlaced(OrderPlaced),
}

fn main() {}
