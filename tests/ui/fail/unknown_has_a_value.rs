use persisting_message_bus::{Topic, backend::RawMessage};
use serde::{Deserialize, Serialize};

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    #[message(unknown = true)]
    Unknown(RawMessage),
}

fn main() {}
