use persisting_message_bus::memory::InMemoryMessageBus;
use persisting_message_bus::{Message, MessageConsumer, Topic};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct OrderPlaced {}

#[derive(Topic)]
#[topic(name = "orders")]
enum Orders {
    OrderPlaced(OrderPlaced),
}

fn main() {
    let mut bus = InMemoryMessageBus::default();
    let mut consumer = MessageConsumer::<Orders>::transactional(
        "all",
        |_: &mut diesel::SqliteConnection, _: &Message<Orders>| Ok(()),
    );
    let _ = consumer.handle_page(&mut bus);
}
