//! Commits that are shared: how many there are, and what becomes of them when something breaks.

mod commits;
mod kills;
mod restarts;

use persisting_message_bus::{Coalescer, CoalescingDispatcher, MessageDispatcher};
use persisting_message_bus_tests::topics::Orders;

fn orders(coalescer: &Coalescer) -> CoalescingDispatcher<Orders> {
    MessageDispatcher::new().coalescing(coalescer)
}
