//! Effects happen once, and nobody is blamed for what another one did, whatever a handler does to the
//! transaction that it works in: on each database, with plain and with pooled connections.

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

use persisting_message_bus::{
    FailedMessage, FailedPage, GiveUp, Message, MessageConsumerState, MessageDispatcher,
    MessageFailures, MessageRepository, Position, Retry,
};
use persisting_message_bus_tests::databases::{
    Mariadb, PooledMariadb, PooledPostgres, PooledSqlite, Postgres, Sqlite,
};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

/// The same tests on each database.
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
        the_message_whose_handler_left_the_transaction_is_the_one_that_fails,
        so_it_is_where_the_handler_returns_an_error_as_well,
        what_is_harmless_is_no_failure,
        the_consumer_stops_at_it_and_keeps_what_was_done_before,
    ]
    hooks: [
        a_hook_that_left_its_transaction_is_called_again_unless_that_was_committed,
        a_hook_that_fails_after_a_statement_that_commits_is_called_again,
    ]
    inbox: [
        an_inbox_does_not_acknowledge_what_was_rolled_back,
        a_transaction_that_was_left_is_an_error,
    ]
    interrupted: [
        who_is_interrupted_each_time_is_given_up_at_last,
        a_connection_that_is_lost_each_time_is_the_end_of_one_message_only,
        what_does_not_last_parks_nothing,
        an_external_handler_that_is_interrupted_each_time_is_given_up_at_last,
        a_redriven_message_that_is_interrupted_each_time_is_parked_again,
    ]
    pages: [
        the_message_of_a_page_is_found,
    ]
    redriven: [
        a_redriven_message_whose_handler_left_the_transaction_is_parked_again,
        what_a_crash_makes_redriven_again_is_handled_by_a_consumer_that_lives_on,
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

fn at_once(attempts: u32, then: GiveUp) -> Retry {
    Retry::default()
        .base(Duration::ZERO)
        .attempts(attempts)
        .then(then)
}

fn order(message: &Message<Orders>) -> u64 {
    message.payload().order()
}

fn cursor(bus: &mut impl MessageConsumerState, consumer: &str) -> i64 {
    let stored = bus.stored_consumer(consumer, "orders").unwrap();
    stored
        .and_then(|stored| stored.cursor)
        .map_or(0, Position::get)
}

fn parked(bus: &mut impl MessageFailures, consumer: &str) -> Vec<FailedMessage> {
    bus.failed_messages(&FailedPage::of_parked(consumer, "orders"))
        .unwrap()
}

/// Positions and attempts.
fn positions(failed: &[FailedMessage]) -> Vec<(i64, u32)> {
    let positions = failed.iter();
    positions
        .map(|failed| (failed.position.get(), failed.attempts))
        .collect()
}
