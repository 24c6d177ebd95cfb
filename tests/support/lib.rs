//! Shared parts of the tests: topics, databases, and their servers.

pub mod catalogues;
pub mod clocks;
pub mod databases;
mod forwarding;
pub mod hostile;
pub mod http_server;
pub mod overtaking;
pub mod servers;
pub mod silent_server;
pub mod statements;
pub mod strange_names;
pub mod topics;
pub mod waiting;

use persisting_message_bus::backend::{MessageConsumerState, MessageSource};
use persisting_message_bus::{Message, MessageConsumer};

use self::topics::Orders;

/// Returns the seed of a randomised test: `SEED` from the environment, or a new one. Prints it, so
/// that a failure can be repeated.
pub fn seed() -> u64 {
    let seed = match std::env::var("SEED") {
        Ok(seed) => seed.parse().expect("SEED must be a number"),
        Err(_) => fastrand::u64(..),
    };
    eprintln!("SEED={seed}");
    seed
}

/// Returns how long a randomised test runs: `SOAK_SECONDS` from the environment, or `usual` seconds.
pub fn soak_time(usual: u64) -> std::time::Duration {
    let seconds = match std::env::var("SOAK_SECONDS") {
        Ok(seconds) => seconds.parse().expect("SOAK_SECONDS must be a number"),
        Err(_) => usual,
    };
    std::time::Duration::from_secs(seconds)
}

/// Handles new messages with the consumer "all", and returns the numbers of the orders.
pub fn consume(bus: &mut (impl MessageSource + MessageConsumerState)) -> Vec<u64> {
    consume_as("all", bus)
}

/// Handles new messages with a consumer of this name, and returns the numbers of the orders.
pub fn consume_as(name: &str, bus: &mut (impl MessageSource + MessageConsumerState)) -> Vec<u64> {
    let mut seen = Vec::new();
    let mut consumer = MessageConsumer::<Orders>::external(name, |message: &Message<Orders>| {
        seen.push(message.payload().order());
        Ok(())
    });
    while consumer.handle_page(bus).expect("a page") > 0 {}
    drop(consumer);
    seen
}
