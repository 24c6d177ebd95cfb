use persisting_message_bus::{RawMessage, Topic};

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    #[message(unknown)]
    Unknown(RawMessage),
}

fn main() {}
