//! Group commits: their number, and their outcome when a repository, a process or a server fails.

mod commits;
mod kills;
mod restarts;

use persisting_message_bus::{Coalescer, CoalescingDispatcher, MessageDispatcher};
use persisting_message_bus_tests::topics::Orders;

fn orders(coalescer: &Coalescer) -> CoalescingDispatcher<Orders> {
    MessageDispatcher::new().coalescing(coalescer)
}
