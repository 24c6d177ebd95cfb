// 2 errors: the compiler proposes a generic enum, which a topic cannot be.
use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Line<'a> {
    text: std::borrow::Cow<'a, str>,
}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    Line(Box<Line<'_>>),
}

fn main() {}
