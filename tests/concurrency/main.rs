//! Publishers and consumers at the same time: nothing is skipped, and nobody waits for what does not
//! concern him.
//!
//! `SOAK_SECONDS=30 cargo test --release --test concurrency soak` lets the soak run longer.

mod interleavings;
mod processes;
mod soak;

use persisting_message_bus::{
    Error, Message, MessageConsumer, MessageConsumerState, MessageDispatcher, MessageRepository,
    MessageSource,
};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders, Paid, Payments};

/// Runs every case on a database whose positions are handed out before the commit.
macro_rules! concurrency_on {
    ($($backend:ident: $database:ident),* $(,)?) => {$(
        mod $backend {
            use persisting_message_bus_tests::databases::$database;

            concurrency_on! { @cases $database
                interleavings: [
                    a_late_commit_of_the_lower_position_is_not_skipped,
                    a_first_message_is_waited_for,
                    a_rolled_back_position_does_not_stall,
                    a_rolled_back_savepoint_keeps_what_was_before_it,
                    a_publisher_goes_on_behind_a_rolled_back_savepoint,
                    many_open_publishers_commit_in_any_order,
                    many_messages_in_a_transaction_hold_back_once,
                    another_topics_publisher_does_not_stall,
                    a_foreign_transaction_does_not_stall,
                    a_foreign_transaction_held_open_makes_delivery_no_slower,
                    publishers_do_not_take_turns,
                    several_topics_wait_for_each_other,
                    a_reset_to_the_end_skips_nobody,
                    a_dispatch_on_two_topics_holds_back_both,
                    publishers_may_choose_their_isolation,
                    a_snapshot_that_is_too_old_is_not_read,
                ]
                processes: [
                    a_killed_publisher_lets_the_others_go_on,
                ]
                soak: [
                    everything_committed_is_delivered_in_order,
                ]
            }
        }
    )*};
    (@cases $database:ident $($module:ident: [$($case:ident),* $(,)?])*) => {$($(
        #[test]
        fn $case() {
            super::$module::$case::<$database>();
        }
    )*)*};
}

concurrency_on! {
    postgres: Postgres,
}

/// One writer at a time: there is nothing to interleave.
mod sqlite {
    use persisting_message_bus_tests::databases::Sqlite;

    #[test]
    fn everything_committed_is_delivered_in_order() {
        super::soak::everything_committed_is_delivered_in_order::<Sqlite>();
    }
}

fn place(bus: &mut impl MessageRepository, order: u64) -> Result<(), Error> {
    MessageDispatcher::<Orders>::new()
        .dispatch(bus, &OrderPlaced::number(order))
        .map(drop)
}

fn pay(bus: &mut impl MessageRepository, order: u64) -> Result<(), Error> {
    MessageDispatcher::<Payments>::new()
        .dispatch(bus, &Paid { order })
        .map(drop)
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
