//! What is special about MySQL and MariaDB, on MariaDB.

mod ancestor;
mod clusters;
mod rows;
mod slots;
mod statements;
mod tables;
mod transactions;

use persisting_message_bus::{
    Message, MessageConsumer, MessageConsumerState, MessageDispatcher, MessageSource,
};
use persisting_message_bus_tests::topics::Orders;

fn orders() -> MessageDispatcher<Orders> {
    MessageDispatcher::new()
}

/// Handles pages until there is nothing new, and returns the numbers of the orders.
fn consume(bus: &mut (impl MessageSource + MessageConsumerState)) -> Vec<u64> {
    let mut seen = Vec::new();
    let mut consumer = MessageConsumer::<Orders>::external("all", |message: &Message<Orders>| {
        seen.push(message.payload().order());
        Ok(())
    });
    while consumer.handle_new_messages(bus).expect("a page") > 0 {}
    drop(consumer);
    seen
}
