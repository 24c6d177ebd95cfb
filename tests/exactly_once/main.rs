//! Effects happen once, and only the guilty message fails, whatever a handler does to its
//! transaction. The cases run on each database, with plain and with pooled connections.

mod deadlock;
mod deaths;
mod deeds;
mod each;
mod hidden;
mod hooks;
mod inbox;
mod interrupted;
mod outlives;
mod pages;
mod random;
mod redriven;
mod sql;
mod unnoted;
mod unwatched;

use std::time::Duration;

use persisting_message_bus::backend::{MessageConsumerState, MessageRepository};
use persisting_message_bus::operate::{
    ConsumerKey, FailedMessage, FailedMessagesRequest, MessageFailures,
};
use persisting_message_bus::{FailurePolicy, Message, MessageDispatcher, Position, RetryPolicy};
use persisting_message_bus_tests::databases::{
    Mariadb, PooledMariadb, PooledPostgres, PooledSqlite, Postgres, Sqlite,
};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

/// Makes a test of every case on each database.
macro_rules! on_each_database {
    ($($module:ident: [$($case:ident),* $(,)?])*) => {
        on_each_database! { @databases $($module: [$($case),*])*;
            sqlite: Sqlite, pooled_sqlite: PooledSqlite,
            postgres: Postgres, pooled_postgres: PooledPostgres,
            mariadb: Mariadb, pooled_mariadb: PooledMariadb
        }
    };
    (@databases $($module:ident: [$($case:ident),*])*; $($database:ident: $type:ty),*) => {
        on_each_database! { @one [$($module: [$($case),*])*] $($database: $type),* }
    };
    (@one $cases:tt $($database:ident: $type:ty),*) => {
        $(on_each_database! { @cases $cases $database: $type })*
    };
    (@cases [$($module:ident: [$($case:ident),*])*] $database:ident: $type:ty) => {
        mod $database {
            use super::*;
            $($(
                #[test]
                fn $case() {
                    super::$module::$case::<$type>();
                }
            )*)*
        }
    };
}

on_each_database! {
    each: [
        a_message_fails_when_its_handler_leaves_the_transaction,
        a_message_fails_when_its_handler_leaves_the_transaction_and_returns_an_error,
        harmless_statements_do_not_fail_a_message,
        the_consumer_stops_and_keeps_earlier_effects_when_a_handler_leaves_the_transaction,
    ]
    hooks: [
        a_hook_that_left_its_transaction_is_called_again_unless_it_was_committed,
        a_hook_that_fails_after_a_statement_that_commits_is_called_again,
    ]
    inbox: [
        an_inbox_does_not_acknowledge_a_rolled_back_delivery,
        a_transaction_that_was_left_is_an_error,
    ]
    interrupted: [
        a_message_is_parked_when_its_handler_is_interrupted_each_time,
        only_one_message_is_parked_when_its_handler_loses_the_connection_each_time,
        transient_errors_park_nothing,
        a_message_is_parked_when_its_external_handler_is_interrupted_each_time,
        a_redriven_message_that_is_interrupted_each_time_is_parked_again,
    ]
    pages: [
        the_failing_message_of_a_page_is_found,
    ]
    redriven: [
        a_redriven_message_whose_handler_left_the_transaction_is_parked_again,
        a_message_that_a_crash_makes_redriven_again_is_handled_by_a_surviving_consumer,
    ]
    unwatched: [
        an_instrumentation_of_the_application_stays_and_nothing_is_lost,
        an_instrumentation_in_a_watch_is_told_everything,
    ]
}

fn place(bus: &mut impl MessageRepository, numbers: std::ops::Range<u64>) {
    MessageDispatcher::<Orders>::new()
        .dispatch_batch(bus, numbers.map(OrderPlaced::number))
        .unwrap();
}

fn at_once(attempts: u32, then: FailurePolicy) -> RetryPolicy {
    RetryPolicy::default()
        .initial_delay(Duration::ZERO)
        .max_attempts(attempts)
        .on_exhausted(then)
}

fn order(message: &Message<Orders>) -> u64 {
    message.payload().order()
}

fn cursor(bus: &mut impl MessageConsumerState, consumer: &str) -> i64 {
    let stored = bus
        .stored_consumer(ConsumerKey {
            consumer,
            topic: "orders",
        })
        .unwrap();
    stored
        .and_then(|stored| stored.cursor)
        .map_or(0, Position::get)
}

fn parked(bus: &mut impl MessageFailures, consumer: &str) -> Vec<FailedMessage> {
    bus.failed_messages(&FailedMessagesRequest::of_parked(ConsumerKey {
        consumer,
        topic: "orders",
    }))
    .unwrap()
}

/// Returns the positions and attempts of failed messages.
fn positions(failed: &[FailedMessage]) -> Vec<(i64, u32)> {
    let positions = failed.iter();
    positions
        .map(|failed| (failed.position.get(), failed.attempts))
        .collect()
}
