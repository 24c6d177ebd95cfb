//! Cases that apply to MySQL and MariaDB only, run on MariaDB.

mod clusters;
mod databases;
mod dropped;
mod emptied;
mod ended;
mod held_back;
mod interrupted;
mod legacy_schema;
mod nodes;
mod overload;
mod rows;
mod runs;
mod single;
mod slots;
mod statements;
mod tables;
mod transactions;

use persisting_message_bus::MessageDispatcher;
use persisting_message_bus_tests::consume;
use persisting_message_bus_tests::topics::Orders;

fn orders() -> MessageDispatcher<Orders> {
    MessageDispatcher::new()
}
