use persisting_message_bus::Topic;
use persisting_message_bus::backend::RawMessage;

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    #[message(unknown)]
    Unknown(RawMessage),
}

fn main() {}
