// A `Box` of something unsized is a message itself.
use persisting_message_bus::Topic;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Serialize, Deserialize)]
struct OrderShipped {}

#[derive(Topic)]
#[allow(unused_parens)]
#[topic(name = "orders")]
enum Orders {
    Text(Box<str>),
    List(Box<[OrderPlaced]>),
    Path(Box<std::path::Path>),
    OsStr(Box<std::ffi::OsStr>),
    Name(Box<std::ffi::CStr>),
    Boxed(std::boxed::Box<(OrderShipped)>),
}

fn main() {
    let text: Box<str> = "text".into();
    let _ = Orders::from(text);
    let _ = Orders::from(OrderShipped {});
}
