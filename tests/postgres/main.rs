//! Cases that apply to PostgreSQL only.

mod clusters;
mod dropped;
mod emptied;
mod failover;
mod fence;
mod idle;
mod lagging;
mod leaps;
mod leases;
mod locks;
mod notifications;
mod partitions;
mod publishing;
mod rows;
mod schemas;
mod search_path;
mod sequences;
mod slow_rows;
mod statements;
mod tables;
mod transactions;

use persisting_message_bus::MessageDispatcher;
use persisting_message_bus_tests::consume;
use persisting_message_bus_tests::topics::Orders;

fn orders() -> MessageDispatcher<Orders> {
    MessageDispatcher::new()
}
