// Messages can have the lifetime `'static`.
use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Line<'a> {
    text: std::borrow::Cow<'a, str>,
}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    Line(Line<'static>),
    Cow(std::borrow::Cow<'static, str>),
    Boxed(Vec<Line<'static>>),
}

fn main() {
    let _ = Orders::from(Line { text: "".into() });
}
