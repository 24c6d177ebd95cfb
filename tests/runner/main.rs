//! Consumers that are left running.

mod clocks;
mod failures;
mod load;
mod processes;
mod restarts;
mod running;
mod silence;
mod stopping;
mod taker;
mod worker;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use persisting_message_bus::{
    MessageConsumerState, MessageDispatcher, MessageRepository, Position, Retry, Runner,
};
use persisting_message_bus_tests::databases::Database;
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

macro_rules! runner_on {
    ($($backend:ident: $database:ident),* $(,)?) => {$(
        mod $backend {
            use persisting_message_bus_tests::databases::$database;

            runner_on! { @cases $database
                running: [
                    consumers_of_different_names_get_everything,
                    fifty_consumers_on_one_topic_get_everything,
                    what_is_dispatched_while_they_run_comes_too,
                    of_two_runners_one_works_at_a_time,
                    a_slow_handler_keeps_its_lease,
                ]
                stopping: [
                    an_external_handler_finishes_the_message_at_hand,
                    a_transactional_handler_finishes_the_message_at_hand,
                    who_does_not_end_in_time_is_named,
                    dropping_it_ends_the_consumers,
                ]
                failures: [
                    a_panic_is_a_failed_message,
                    a_panic_rolls_its_effects_back,
                    a_message_that_keeps_failing_stops_its_consumer_only,
                    a_connection_that_cannot_be_had_is_tried_again,
                    a_parked_message_comes_again_when_it_is_redriven,
                    a_skipped_message_is_passed_over,
                    attempts_go_on_in_the_next_process,
                    a_paused_consumer_rests_and_goes_on,
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

runner_on! {
    memory: Memory,
    sqlite: Sqlite,
    postgres: Postgres,
    pooled_postgres: PooledPostgres,
    mariadb: Mariadb,
}

/// A runner that is quick to try again.
fn runner<D: Database + Send + 'static>(database: &Arc<D>) -> Runner<D::Bus> {
    let database = Arc::clone(database);
    Runner::new(move || Ok::<_, io::Error>(database.connect()))
        .idle_interval(Duration::from_millis(50))
        .retry(quick_retry())
}

fn quick_retry() -> Retry {
    Retry::default()
        .base(Duration::from_millis(2))
        .cap(Duration::from_millis(50))
        .attempts(3)
}

fn place(bus: &mut impl MessageRepository, numbers: std::ops::Range<u64>) {
    let batch = numbers.map(OrderPlaced::number);
    MessageDispatcher::<Orders>::new()
        .dispatch_batch(bus, batch)
        .unwrap();
}

/// Waits until something holds.
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How far a consumer is, and whether somebody holds its lease.
fn state(bus: &mut impl MessageConsumerState, consumer: &str) -> (i64, bool) {
    let status = bus.stored_consumer(consumer, "orders").unwrap();
    let status = status.expect("it has run");
    let cursor = status.cursor.map_or(0, Position::get);
    (cursor, status.lease_owner.is_some())
}
