//! Consumers that are divided into segments, so that many threads and processes work for one name.

mod added_topic;
mod adverse;
mod async_handlers;
mod begun;
mod changes;
mod counted;
mod deadlocks;
mod deaths;
mod disturbances;
mod disturbed;
mod dying;
mod event_sets;
mod failing;
mod fairness;
mod flat;
mod fleet;
mod handling;
mod held_slots;
mod idle;
mod interleaved;
mod joining;
mod late;
mod late_answers;
mod leaving;
mod locked_rows;
mod lost_answers;
mod mixed_programs;
mod named;
mod open_snapshot;
mod operated;
mod operating;
mod parking;
mod passing_stop;
mod poisoned_segments;
mod poisonous;
mod processes;
mod records;
mod redriven_beside_live;
mod renaming;
mod replacements;
mod replaying;
mod resizing;
mod restarts;
mod running;
mod slow_failures;
mod soak;
mod sources;
mod sql;
mod status;
mod taking_over;
mod topic;
mod traces;
mod troubled;
mod two_topics;
mod unstored;
mod woken_holders;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use persisting_message_bus::backend::{ConsumerRow, Division, MessageConsumerState, Part, Slot};
use persisting_message_bus::operate::ConsumerKey;
use persisting_message_bus_tests::databases::{Database, Mariadb, Memory, Postgres, Sqlite};

/// Makes a test of every case on each database.
macro_rules! on_each_database {
    ($($module:ident: [$($case:ident),* $(,)?])*) => {
        on_each_database! { @databases [$($module: [$($case),*])*]
            memory: Memory, sqlite: Sqlite, postgres: Postgres, mariadb: Mariadb
        }
    };
    (@databases $cases:tt $($database:ident: $type:ty),*) => {
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
    added_topic: [
        a_topic_is_added_while_older_members_are_at_work,
    ]
    joining: [
        eight_members_that_join_at_once_share_the_segments,
    ]
    handling: [
        all_messages_are_handled_once_and_those_of_a_segment_in_order,
        messages_of_a_key_are_in_one_segment_and_in_order,
        a_consumer_is_divided_at_its_cursor,
        a_program_that_does_not_divide_is_refused,
        a_division_of_another_kind_is_refused,
        a_segment_that_fails_keeps_only_its_messages,
        tokens_never_decrease_from_topic_to_topic,
        messages_without_a_key_keep_their_order,
    ]
    event_sets: [
        an_unwanted_type_is_removed_from_all_segments,
        a_narrowed_event_set_is_that_of_all_segments,
        a_change_goes_on_when_a_type_is_retired,
        a_change_goes_on_when_the_event_set_is_narrowed,
    ]
    failing: [
        first_failures_at_once_are_counted,
    ]
    operating: [
        all_segments_move_to_one_place,
        a_reset_moves_no_segment_when_one_is_held,
        segments_are_reset_while_their_number_changes,
        a_reset_before_the_first_run_moves_the_start,
        an_undivided_program_cannot_move_a_divided_consumer,
        a_source_is_accepted_for_all_segments,
        all_leases_of_segments_are_ended,
    ]
    parking: [
        a_parked_message_is_redriven_and_handled_once,
        a_message_that_was_parked_before_the_division_is_redriven,
        a_parked_message_can_be_discarded,
        a_message_that_failed_before_the_division_fails_in_its_segment,
        a_consumer_with_a_final_message_is_not_divided,
    ]
    renaming: [
        a_renamed_consumer_keeps_its_segments_and_failures,
        a_consumer_with_a_held_segment_is_not_renamed,
        a_name_with_a_slash_is_not_a_segment,
    ]
    resizing: [
        segments_are_replaced_where_they_meet,
        a_segment_of_another_size_is_not_taken,
        segments_of_two_topics_are_replaced_together,
        a_program_that_reads_less_does_not_change_the_number,
        topics_are_divided_together,
        a_topic_that_was_left_out_of_a_change_is_told,
    ]
    running: [
        threads_share_the_segments,
        more_messages_than_are_counted_are_handled,
        new_messages_are_handled_when_all_threads_are_idle,
        two_runners_share_the_segments,
        a_paused_consumer_rests_until_it_is_resumed,
        a_process_that_waits_for_the_division_ends_without_an_error,
        a_change_that_waits_is_told,
        consumers_of_several_names_are_refused,
    ]
    troubled: [
        a_segment_that_stops_does_not_stop_the_others,
        a_handler_that_panics_keeps_only_its_message,
        a_redriven_message_is_handled_while_all_threads_are_idle,
        a_segment_that_has_stopped_continues_when_its_cursor_moves,
        cursors_after_the_end_of_the_topic_are_told,
        another_message_at_the_cursors_is_told,
    ]
    status: [
        the_status_counts_the_messages_of_each_segment,
        a_segment_with_most_messages_widens_the_spread,
        a_failing_segment_is_the_condition_of_the_consumer,
        a_pause_and_a_broken_cursor_are_those_of_the_whole_consumer,
    ]
    slow_failures: [
        segments_that_fail_slowly_hold_up_no_other,
    ]
    traces: [
        a_segment_that_is_held_is_not_taken,
        late_writes_of_the_same_owner_are_refused,
        a_late_store_after_the_release_is_refused,
        a_late_thread_of_an_expired_lease_is_refused,
        a_renewal_keeps_only_the_lease_that_it_names,
        a_release_stores_the_cursor_again,
        a_reset_fences_a_holder_whose_lease_has_expired,
    ]
    redriven_beside_live: [
        a_redriven_message_takes_effect_once_beside_live_ones,
        a_redriven_message_is_committed_once_beside_live_ones,
    ]
    poisoned_segments: [
        messages_of_many_segments_are_parked_and_redriven,
        messages_of_transactional_segments_are_parked_and_redriven,
    ]
    replaying: [
        messages_up_to_the_place_of_their_segment_are_replays,
        a_replay_goes_on_after_the_division,
        parked_messages_after_the_place_of_a_reset_come_again,
        a_consumer_with_a_hook_is_not_divided,
        a_hook_is_refused_by_segments_at_the_start,
    ]
    fairness: [
        two_processes_share_long_backlogs,
        a_segment_with_most_messages_takes_no_turns_from_the_others,
        a_segment_that_fails_takes_no_turns_from_the_others,
    ]
    mixed_programs: [
        an_undivided_program_is_refused_beside_a_divided_one,
        a_program_that_divides_differently_is_refused,
    ]
    woken_holders: [
        a_segment_waits_for_the_thread_that_works_on_it,
    ]
    replacements: [
        epochs_of_new_segments_go_on,
        segments_that_are_held_are_not_replaced,
        the_stop_is_raised_to_a_cursor_after_it,
        a_segment_that_was_taken_meanwhile_is_not_replaced,
        segments_of_no_topic_are_replaced_if_one_is_held,
    ]
}

/// Makes a test of every case on each database that processes can share.
macro_rules! on_each_server {
    ($($module:ident: [$($case:ident),* $(,)?])*) => {
        on_each_server! { @databases [$($module: [$($case),*])*]
            processes_on_sqlite: Sqlite, processes_on_postgres: Postgres, processes_on_mariadb: Mariadb
        }
    };
    (@databases $cases:tt $($database:ident: $type:ty),*) => {
        $(on_each_database! { @cases $cases $database: $type })*
    };
}

on_each_server! {
    leaving: [
        segments_of_a_member_that_leaves_are_taken_within_a_look,
    ]
    processes: [
        a_killed_process_is_replaced_and_only_its_messages_are_repeated,
        a_frozen_process_ends_at_most_the_messages_that_it_had_begun,
        processes_that_join_and_leave_repeat_nothing,
        a_handler_that_never_returns_keeps_only_its_segment,
        a_process_whose_only_thread_is_stuck_keeps_only_its_segment,
    ]
    changes: [
        a_resize_at_work_repeats_nothing,
        a_rolling_deployment_loses_and_repeats_nothing,
    ]
    idle: [
        looks_of_an_idle_consumer_cost_the_same,
    ]
    deaths: [
        a_change_goes_on_after_a_death_before_any_statement,
        a_raised_change_goes_on_after_a_death_before_any_statement,
    ]
    taking_over: [
        segments_of_a_killed_process_are_taken_within_a_look,
    ]
    two_topics: [
        processes_that_end_keep_the_order_across_topics,
        a_death_before_any_statement_of_a_page_skips_nothing,
    ]
    poisonous: [
        only_the_guilty_message_of_an_external_handler_is_parked,
        only_the_guilty_message_of_a_transactional_handler_is_parked,
    ]
    soak: [
        everything_committed_is_handled_in_the_order_of_its_keys,
    ]
}

/// Makes a test of every case on each server.
macro_rules! on_each_real_server {
    ($($module:ident: [$($case:ident),* $(,)?])*) => {
        on_each_database! { @cases [$($module: [$($case),*])*] adverse_on_postgres: Postgres }
        on_each_database! { @cases [$($module: [$($case),*])*] adverse_on_mariadb: Mariadb }
    };
}

on_each_real_server! {
    adverse: [
        work_goes_on_after_all_sessions_were_ended,
        clocks_of_processes_do_not_matter,
    ]
    interleaved: [
        publishers_between_the_statements_of_segments_lose_nothing,
        publishers_between_the_statements_of_transactional_segments_lose_nothing,
    ]
    lost_answers: [
        a_take_without_an_answer_is_repeated_at_once,
        a_release_that_is_not_confirmed_repeats_nothing,
        a_commit_that_is_not_confirmed_has_its_effects_once,
        an_external_handler_repeats_nothing_after_a_loss,
        a_transactional_handler_repeats_nothing_after_a_loss,
    ]
    woken_holders: [
        a_take_that_is_answered_late_begins_nothing,
        a_renewal_that_is_answered_late_begins_nothing,
        a_transaction_that_outlasts_its_lease_keeps_its_segment,
        a_woken_holder_does_not_undo_a_reset,
        a_woken_holder_changes_nothing_of_new_segments,
    ]
    late_answers: [
        a_late_answer_ends_the_page_and_repeats_nothing,
        a_late_answer_before_the_first_message_is_an_error,
        no_hook_is_called_after_a_late_answer,
        no_redriven_message_begins_after_a_late_answer,
    ]
    locked_rows: [
        a_lease_is_renewed_beside_leases_that_cannot_be,
        a_renewal_of_a_locked_row_fails_at_once,
        a_lease_is_kept_although_its_row_is_often_locked,
        leases_are_ended_beside_one_that_cannot_be,
    ]
    deadlocks: [
        threads_and_changes_of_segments_run_into_no_deadlock,
    ]
}

on_each_database! { @cases [late: [a_late_segment_holds_up_no_other]] late_on_sqlite: Sqlite }
on_each_database! { @cases [late: [a_late_segment_holds_up_no_other]] late_on_postgres: Postgres }
on_each_database! { @cases [late: [a_late_segment_holds_up_no_other]] late_on_mariadb: Mariadb }
on_each_database! { @cases [flat: [memory_stays_flat_while_many_messages_wait]] flat_on_sqlite: Sqlite }
on_each_database! { @cases [flat: [memory_stays_flat_while_many_messages_wait]] flat_on_postgres: Postgres }
on_each_database! { @cases [flat: [memory_stays_flat_while_many_messages_wait]] flat_on_mariadb: Mariadb }

const LEASE: Duration = Duration::from_secs(5);

fn key(consumer: &str) -> ConsumerKey<'_> {
    ConsumerKey {
        consumer,
        topic: "orders",
    }
}

/// Returns whether a part has the messages of an order.
fn has_order(part: Part, order: u64) -> bool {
    let slots = part.slots().expect("a part of the keys");
    slots.contains(Slot::of(&order.to_string()))
}

/// Returns how a consumer is divided.
fn division(bus: &mut impl MessageConsumerState, consumer: &str) -> Option<Division> {
    let row = bus.stored_consumer(key(consumer)).unwrap();
    row.and_then(|row| row.division)
}

/// Returns the rows of the segments.
fn segments(bus: &mut impl MessageConsumerState, consumer: &str) -> Vec<ConsumerRow> {
    let division = division(bus, consumer).expect("it is divided");
    let rows = bus.segments(key(consumer), division).unwrap();
    rows.into_iter().map(|it| it.row).collect()
}

/// Returns what opens connections to a database.
fn connector<D>() -> (Arc<D>, impl Fn() -> D::Bus + Clone + Send + Sync + 'static)
where
    D: Database + Send + 'static,
{
    let database = Arc::new(D::create());
    let shared = Arc::clone(&database);
    (database, move || shared.connect())
}

/// Returns the rows of the segments, if the consumer is divided.
fn segments_if_any(bus: &mut impl MessageConsumerState, consumer: &str) -> Vec<ConsumerRow> {
    match division(bus, consumer) {
        Some(_) => segments(bus, consumer),
        None => Vec::new(),
    }
}
