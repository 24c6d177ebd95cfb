//! Cases that apply to PostgreSQL only.

mod clusters;
mod emptied;
mod failover;
mod fence;
mod lagging;
mod leaps;
mod leases;
mod notifications;
mod publishing;
mod rows;
mod schemas;
mod sequences;
mod statements;
mod tables;
mod transactions;

use persisting_message_bus::MessageDispatcher;
use persisting_message_bus_tests::consume;
use persisting_message_bus_tests::topics::Orders;

fn orders() -> MessageDispatcher<Orders> {
    MessageDispatcher::new()
}
