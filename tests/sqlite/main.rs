//! Cases that apply to SQLite only.

mod close_rows;
mod contended;
mod dropped;
mod emptied;
mod pruning;
mod replaced;
mod rows;
mod same_file;
mod statements;
mod strange_rows;
mod stretches;
mod tables;
mod transactions;
mod waking;

use persisting_message_bus::MessageDispatcher;
use persisting_message_bus::handler::HandlerError;
use persisting_message_bus_tests::topics::Orders;

fn orders() -> MessageDispatcher<Orders> {
    MessageDispatcher::new()
}

fn ignore<M>(_message: &M) -> Result<(), HandlerError> {
    Ok(())
}
