//! A consumer knows where its cursor counts, and what it reads: the same cases on every database.

mod added;
mod beside;
mod event_sets;
mod helpers;
mod places;
mod sources;
mod starting;
mod statements;
mod unknown;

use persisting_message_bus::EventSet;
use persisting_message_bus_tests::databases::{Mariadb, Postgres, Sqlite};
use persisting_message_bus_tests::topics::{OrderPlaced, OrderShipped, Orders};

use self::helpers::{ignoring, place, publish_one_of_each};

macro_rules! cases {
    ($backend:ident on $database:ident, $($module:ident: [$($case:ident),* $(,)?])*) => {
        mod $backend {
            $($(
                #[test]
                fn $case() {
                    super::$module::$case::<persisting_message_bus_tests::databases::$database>();
                }
            )*)*
        }
    };
}

macro_rules! cases_on {
    ($($backend:ident: $database:ident),* $(,)?) => {$(
        cases! {
            $backend on $database,
            places: [
                a_source_that_overtook_the_cursor_is_not_read,
                another_message_at_the_cursor_is_noticed_at_an_empty_poll,
                a_topic_that_lost_its_last_messages_is_noticed,
                a_transactional_consumer_handles_nothing_of_another_source,
                an_anchor_that_is_missing_between_others_is_noticed,
                pruned_messages_are_no_alarm,
                a_reset_between_messages_is_no_alarm,
                an_accepted_source_is_read_after_the_cursor,
                a_page_from_an_older_state_is_read_again,
                a_redriven_message_is_not_mistaken_for_another,
                a_source_of_another_name_is_refused,
            ]
            event_sets: [
                no_consumer_passes_what_another_of_its_name_wants,
                a_consumer_that_exchanges_types_is_refused,
                an_older_program_stops_before_what_only_the_newer_one_wants,
                an_older_program_skips_or_receives_nothing_that_only_the_newer_one_wants,
                an_older_program_stops_before_a_topic_that_only_the_newer_one_reads,
                a_type_that_is_not_wanted_any_more_is_passed,
                a_topic_that_changes_leaves_an_event_set_with_unknown_messages_the_same,
                a_whole_topic_wants_more_than_an_event_set,
                a_reset_takes_the_event_set_as_it_is,
            ]
            added: [
                a_grown_event_set_is_an_error_without_a_word_about_it,
                added_types_are_handled_from_now_on,
                added_types_are_replayed_alone,
                an_event_set_grows_although_there_are_no_new_messages,
                an_added_topic_begins_now_or_at_its_start,
                an_interrupted_growth_loses_and_doubles_nothing,
                an_older_program_waits_while_added_types_are_replayed,
                a_replay_ends_although_its_messages_were_pruned,
                a_type_that_is_not_wanted_any_more_is_not_replayed,
                a_source_that_was_replaced_before_or_during_a_replay_is_noticed,
                redriven_messages_are_handled_during_a_replay,
                an_older_program_that_skips_leaves_redriven_messages_to_the_newer,
                replayed_messages_of_added_types_are_no_replays_and_overcome_failures_no_condition,
                types_added_before_the_first_message_need_no_word,
            ]
            beside: [
                an_older_program_leaves_what_a_dead_process_was_handling,
                the_status_shows_the_topic_that_only_the_newer_program_reads,
                an_event_set_that_was_replaced_is_not_stored_again,
                a_whole_topic_can_be_narrowed_to_an_event_set,
            ]
            starting: [
                a_new_consumer_starts_at_the_end,
                a_new_consumer_starts_at_a_position_or_a_time,
                messages_after_the_first_poll_of_an_empty_topic_are_handled,
                a_consumer_that_has_run_does_not_start_again,
                a_renamed_consumer_continues,
                a_consumer_at_work_or_an_existing_name_is_not_renamed,
            ]
            unknown: [
                an_unknown_message_costs_no_attempt_and_no_lease,
                a_newer_program_continues_at_once,
                an_unknown_message_is_parked_after_its_timeout_only,
                a_waiting_consumer_handles_redriven_messages,
                a_redriven_message_of_an_unknown_type_stays_redriven,
            ]
        }
    )*};
}

cases_on! {
    memory: Memory,
    sqlite: Sqlite,
    postgres: Postgres,
    mariadb: Mariadb,
}

#[test]
fn a_page_on_sqlite_costs_one_statement_more_and_an_empty_poll_none() {
    statements::recognising_costs_a_statement_for_a_page_of_some_types_only::<Sqlite>(3);
}

#[test]
fn a_page_on_postgres_costs_one_statement_more_and_an_empty_poll_none() {
    statements::recognising_costs_a_statement_for_a_page_of_some_types_only::<Postgres>(3);
}

#[test]
fn a_page_on_mariadb_costs_one_statement_more_and_an_empty_poll_none() {
    statements::recognising_costs_a_statement_for_a_page_of_some_types_only::<Mariadb>(4);
}

#[derive(Debug, EventSet)]
#[event_set(topic = Orders)]
#[allow(dead_code)]
enum Placed {
    OrderPlaced(OrderPlaced),
}

#[derive(Debug, EventSet)]
#[event_set(topic = Orders)]
#[allow(dead_code)]
enum Shipped {
    Shipped(OrderShipped),
}

/// A program that knows fewer types than `Orders`.
mod older {
    use persisting_message_bus::Topic;

    use super::OrderPlaced;

    #[derive(Debug, Topic)]
    #[topic(name = "orders")]
    #[allow(dead_code)]
    pub enum Orders {
        OrderPlaced(OrderPlaced),
    }
}

#[test]
fn an_older_program_waits_on_postgres_although_a_publisher_is_open() {
    beside::an_older_program_waits_although_a_publisher_is_open::<Postgres>();
}

#[test]
fn an_older_program_waits_on_mariadb_although_a_publisher_is_open() {
    beside::an_older_program_waits_although_a_publisher_is_open::<Mariadb>();
}
