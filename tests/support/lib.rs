//! What the tests share: topics, databases to run them on, and the servers of those.

pub mod catalogues;
pub mod databases;
pub mod servers;
pub mod statements;
pub mod strange_names;
pub mod topics;

use persisting_message_bus::{Message, MessageConsumer, MessageConsumerState, MessageSource};

use self::topics::Orders;

/// The seed of a randomised test: `SEED` from the environment, or a new one; printed, so that a
/// failure can be repeated.
pub fn seed() -> u64 {
    let seed = match std::env::var("SEED") {
        Ok(seed) => seed.parse().expect("SEED has to be a number"),
        Err(_) => fastrand::u64(..),
    };
    eprintln!("SEED={seed}");
    seed
}

/// Lets the consumer "all" handle what is new, and returns the numbers of the orders.
pub fn consume(bus: &mut (impl MessageSource + MessageConsumerState)) -> Vec<u64> {
    let mut seen = Vec::new();
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        seen.push(message.payload().order());
        Ok(())
    });
    while consumer.handle_new_messages(bus).expect("a page") > 0 {}
    drop(consumer);
    seen
}
