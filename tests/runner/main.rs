//! Consumers in a `Runner`, also when the application's code panics, hangs or blocks.

mod clocks;
mod failures;
mod gate;
mod lease_contender;
mod load;
mod panics;
mod pools;
mod processes;
mod renewals;
mod restarts;
mod running;
mod silence;
mod silent_servers;
mod stopping;
mod waiting;
mod worker;

use persisting_message_bus::operate::ConsumerKey;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use persisting_message_bus::backend::{ConsumerRow, MessageConsumerState, MessageRepository};
use persisting_message_bus::{MessageDispatcher, Position, RetryPolicy, Runner};
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
                    messages_dispatched_while_consumers_run_are_handled,
                    one_of_two_runners_works_at_a_time,
                    a_slow_handler_keeps_its_lease,
                ]
                stopping: [
                    an_external_handler_finishes_its_current_message,
                    a_transactional_handler_finishes_its_current_message,
                    a_consumer_that_does_not_stop_in_time_is_named,
                    dropping_the_handle_stops_the_consumers,
                ]
                failures: [
                    a_panic_is_a_failed_message,
                    a_panic_rolls_its_effects_back,
                    a_message_that_keeps_failing_stops_its_consumer_only,
                    a_failed_connection_is_retried,
                    a_parked_message_is_handled_when_it_is_redriven,
                    a_message_is_skipped_when_its_attempts_are_exhausted,
                    attempts_continue_in_the_next_process,
                    a_paused_consumer_rests_until_it_is_resumed,
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

/// Returns a runner with short retry delays.
fn runner<D: Database + Send + 'static>(database: &Arc<D>) -> Runner<D::Bus> {
    let database = Arc::clone(database);
    Runner::new(move || Ok::<_, io::Error>(database.connect()))
        .idle_interval(Duration::from_millis(50))
        .retry(quick_retry())
}

fn quick_retry() -> RetryPolicy {
    RetryPolicy::default()
        .initial_delay(Duration::from_millis(2))
        .max_delay(Duration::from_millis(50))
        .max_attempts(3)
}

fn place(bus: &mut impl MessageRepository, numbers: std::ops::Range<u64>) {
    let batch = numbers.map(OrderPlaced::number);
    MessageDispatcher::<Orders>::new()
        .dispatch_batch(bus, batch)
        .unwrap();
}

/// Returns the stored state of a consumer; `None` if it has never run.
fn stored(bus: &mut impl MessageConsumerState, consumer: &str) -> Option<ConsumerRow> {
    bus.stored_consumer(ConsumerKey {
        consumer,
        topic: "orders",
    })
    .unwrap()
}

/// Returns a consumer's cursor, and whether its lease is held.
fn state(bus: &mut impl MessageConsumerState, consumer: &str) -> (i64, bool) {
    let status = stored(bus, consumer).expect("a stored consumer");
    let cursor = status.cursor.map_or(0, Position::get);
    (cursor, status.lease_owner.is_some())
}

/// Returns a consumer's cursor; 0 if it has never stored one.
fn cursor(bus: &mut impl MessageConsumerState, consumer: &str) -> i64 {
    let cursor = stored(bus, consumer).and_then(|stored| stored.cursor);
    cursor.map_or(0, Position::get)
}
