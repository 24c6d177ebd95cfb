// 14 errors: one for each event set.
use persisting_message_bus::{EventSet, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

#[derive(EventSet)]
#[event_set("Orders")]
enum OnlyAText {
    OrderPlaced(OrderPlaced),
}

#[derive(EventSet)]
#[event_set(Orders)]
enum OnlyAPath {
    OrderPlaced(OrderPlaced),
}

#[derive(EventSet)]
#[event_set(topic = [Orders])]
enum TopicList {
    OrderPlaced(OrderPlaced),
}

#[derive(EventSet)]
#[event_set(topic =)]
enum TopicMissing {
    OrderPlaced(OrderPlaced),
}

#[derive(EventSet)]
#[event_set(topic: Orders)]
enum TopicAfterAColon {
    OrderPlaced(OrderPlaced),
}

#[derive(EventSet)]
#[event_set(topic(Orders))]
enum TopicInACall {
    OrderPlaced(OrderPlaced),
}

#[derive(EventSet)]
#[event_set(topic)]
enum TopicWithoutValue {
    OrderPlaced(OrderPlaced),
}

#[derive(EventSet)]
#[event_set(topic = Orders, topic = Orders)]
enum TopicTwice {
    OrderPlaced(OrderPlaced),
}

#[derive(EventSet)]
#[event_set(topic = Orders + 1)]
enum TopicSum {
    OrderPlaced(OrderPlaced),
}

#[derive(EventSet)]
#[event_set(topic = &Orders)]
enum TopicReference {
    OrderPlaced(OrderPlaced),
}

#[derive(EventSet)]
#[event_set(topic = (Orders, Payments))]
enum TopicTuple {
    OrderPlaced(OrderPlaced),
}

#[derive(EventSet)]
#[event_set(topic = Orders, Payments)]
enum TopicsInARow {
    OrderPlaced(OrderPlaced),
}

#[derive(EventSet)]
#[event_set(topic = Orders crate = x)]
enum CommaMissing {
    OrderPlaced(OrderPlaced),
}

#[derive(EventSet)]
#[event_set(topic = Orders, crate = "persisting_message_bus")]
enum LibraryInQuotes {
    OrderPlaced(OrderPlaced),
}

fn main() {}
