use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Line<'a> {
    text: &'a str,
}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    Line(Line<'static>),
}

fn main() {}
