//! A message table that is emptied, pruned or rewritten.

#[path = "emptied/cases.rs"]
mod cases;
#[path = "emptied/in_flight.rs"]
mod in_flight;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use persisting_message_bus_tests::databases::Postgres;

use self::cases::Emptied;
pub use self::cases::{publish, selected};

impl Emptied for Postgres {
    fn empty(bus: &mut PgConnection) {
        bus.batch_execute("TRUNCATE public_messages RESTART IDENTITY")
            .unwrap();
    }
}

#[test]
fn new_messages_after_the_table_was_emptied_are_not_skipped() {
    cases::new_messages_after_the_table_was_emptied_are_not_skipped::<Postgres>();
}

#[test]
fn a_runner_stops_when_the_table_was_emptied() {
    cases::a_runner_stops_when_the_table_was_emptied::<Postgres>();
}

#[test]
fn a_consumer_that_was_reset_after_a_publisher_began_waits_for_it() {
    in_flight::a_consumer_that_was_reset_after_a_publisher_began_waits_for_it::<Postgres>();
}

#[test]
fn a_consumer_that_was_reset_before_a_publisher_began_waits_for_it() {
    in_flight::a_consumer_that_was_reset_before_a_publisher_began_waits_for_it::<Postgres>();
}

#[test]
fn a_consumer_that_was_reset_elsewhere_waits_for_publishers() {
    in_flight::a_consumer_that_was_reset_elsewhere_waits_for_publishers::<Postgres>();
}

#[test]
fn a_consumer_notices_new_messages_after_a_publisher_in_flight() {
    in_flight::a_consumer_notices_new_messages_after_a_publisher_in_flight::<Postgres>();
}

#[test]
fn a_pruned_topic_is_no_alarm() {
    cases::a_pruned_topic_is_no_alarm::<Postgres>();
}

#[test]
fn an_idle_topic_is_no_alarm() {
    cases::continues_after::<Postgres>(|_| ());
}

#[test]
fn a_vacuum_is_no_alarm() {
    cases::continues_after::<Postgres>(|bus| {
        for rewrite in ["VACUUM", "VACUUM FULL", "CLUSTER"] {
            let index = match rewrite {
                "CLUSTER" => " USING public_messages_pkey",
                _ => "",
            };
            bus.batch_execute(&format!("{rewrite} public_messages{index}"))
                .unwrap();
        }
    });
}

/// Positions go on, as after pruning.
#[test]
fn a_truncation_that_keeps_the_sequence_is_no_alarm() {
    cases::continues_after::<Postgres>(|bus| {
        bus.batch_execute("TRUNCATE public_messages").unwrap();
    });
}
