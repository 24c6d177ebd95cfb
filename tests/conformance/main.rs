//! What every backend has to do: one list of cases, each a test of its own on each backend.

mod ahead;
mod coalescing;
mod consuming;
mod event_sets;
mod failing;
mod flows;
mod hazards;
mod hindered;
mod inbox;
mod leases;
mod limits;
mod operators;
mod pausing;
mod publishing;
mod redriving;
mod replaying;
mod several_topics;
mod status;
mod transactional;
mod unknown;
mod versions;

use persisting_message_bus::{
    HandlerError, Message, MessageConsumer, MessageDispatcher, MessageSource, MessageTypes,
    PageRequest, Position, RawMessage,
};
use persisting_message_bus_tests::topics::Orders;

/// Runs every case on a database.
macro_rules! conformance {
    ($backend:ident on $database:ty, $($module:ident: [$($case:ident),* $(,)?])*) => {
        mod $backend {
            $($(
                #[test]
                fn $case() {
                    super::$module::$case::<$database>();
                }
            )*)*
        }
    };
}

/// The list of cases.
macro_rules! conformance_on {
    ($($backend:ident: $database:ty),* $(,)?) => {$(
        conformance! { $backend on $database,
            publishing: [
                a_message_comes_back_as_it_was_dispatched,
                a_batch_keeps_its_order_whatever_its_size,
                a_message_dispatched_after_a_commit_has_the_larger_position,
                a_message_is_found_by_its_id_on_its_topic,
                a_rolled_back_message_is_never_delivered,
                a_rolled_back_savepoint_takes_only_its_own_messages,
                an_uncommitted_message_is_not_seen_by_others,
                a_message_id_dispatched_twice_is_refused,
                a_message_id_twice_in_a_batch_is_refused,
                a_batch_is_written_as_a_whole_or_not_at_all,
                a_refused_batch_leaves_the_callers_transaction_usable,
                duplicates_are_ignored_when_that_is_asked_for,
                a_missing_header_is_refused_and_nothing_written,
                decorators_run_in_their_order,
                publishers_on_many_threads_lose_nothing,
            ]
            coalescing: [
                who_shares_a_commit_has_an_outcome_of_his_own,
                a_batch_that_is_refused_takes_nobody_along,
                who_waits_too_long_has_written_nothing,
                who_finds_the_queue_full_waits_for_room,
                a_closed_coalescer_has_committed_what_waited,
                on_a_connection_in_a_transaction_nothing_is_acknowledged,
                what_many_threads_dispatch_is_there_once,
                several_connections_lose_nothing,
            ]
            failing: [
                attempts_outlast_the_process,
                a_message_that_was_handled_at_last_leaves_nothing_behind,
                a_poison_message_stops_the_consumer_in_front_of_it,
                a_poison_message_is_parked_and_the_others_go_on,
                a_poison_message_is_skipped_and_counted,
                effects_of_the_others_happen_once_when_one_is_parked,
                a_message_of_an_unknown_type_can_be_parked,
                who_has_lost_the_lease_parks_nothing,
                what_the_bus_may_do_when_it_is_asked_again_is_no_attempt,
                a_poison_message_on_one_of_two_topics,
                a_reset_forgets_what_comes_again,
            ]
            hindered: [
                what_a_handlers_query_meets_is_no_attempt,
                what_an_external_handler_did_before_is_kept,
                what_a_query_is_refused_for_is_an_attempt,
                a_hook_whose_query_is_hindered_is_called_again,
                a_redriven_message_whose_query_is_hindered_stays_redriven,
            ]
            redriving: [
                who_has_lost_the_lease_takes_no_redriven_message,
                what_the_bus_may_do_when_it_is_asked_again_stays_redriven,
                what_waits_to_be_handled_again_shows,
                a_redriven_unknown_message_is_skipped_where_others_are,
                what_is_redriven_of_two_topics_comes_in_order,
                a_pause_ends_a_long_redrive,
                a_new_process_that_has_nothing_to_do_only_reads,
                what_is_redriven_comes_in_order_and_before_what_is_new,
                one_message_or_one_type_can_be_redriven,
                what_was_discarded_does_not_come_again,
                what_fails_again_is_parked_again,
                redriving_twice_handles_once,
                a_redriven_effect_that_fails_is_rolled_back,
                who_has_lost_the_lease_has_no_redriven_effect,
            ]
            status: [
                a_consumer_goes_through_its_conditions,
                an_expired_lease_is_nobodys,
                who_holds_a_lease_and_gets_nowhere_is_not_working,
                failures_show_with_their_error,
                what_was_overcome_is_no_failure_any_more,
                lag_is_the_age_of_the_first_message_behind_the_cursor,
                a_status_is_json_for_programs,
            ]
            hazards: [
                a_late_failure_does_not_unpark,
                a_late_failure_loses_nothing,
                a_redriven_message_is_not_handled_twice_after_a_late_failure,
                what_a_late_holder_notes_makes_nothing_lost,
                the_hook_runs_when_the_first_message_is_parked,
                a_slow_redrive_keeps_the_lease,
                a_redrive_notices_that_the_lease_is_lost,
                what_is_redriven_after_a_replay_is_one,
                who_is_not_paused_can_be_resumed,
                an_error_whose_text_panics_is_an_error_like_others,
            ]
            operators: [
                operators_and_consumers_at_once,
            ]
            inbox: [
                a_message_from_outside_has_its_effect_once,
                what_failed_may_come_again,
                consumers_sources_and_ids_are_told_apart,
                of_many_deliveries_at_once_one_has_an_effect,
                what_is_older_than_the_window_is_forgotten,
            ]
            flows: [
                what_a_handler_dispatches_is_caused_by_its_message,
                a_flow_is_read_as_a_tree,
                a_flow_from_outside_is_carried_on,
                a_long_flow_is_read_in_part,
                the_message_at_hand_stays_the_cause_in_a_flow_from_outside,
                what_fails_is_no_cause_and_what_is_redriven_is,
                what_the_caller_says_is_left_alone,
                headers_of_others_that_make_no_sense_lose_no_flow,
                a_handler_of_pages_says_which_message_is_the_cause,
                a_handler_sees_the_flow_of_its_message,
            ]
            pausing: [
                a_paused_consumer_handles_nothing_until_it_is_resumed,
                a_pause_lasts_as_it_was_and_is_for_one_consumer,
                who_never_ran_cannot_be_paused,
                a_paused_consumer_can_be_reset,
            ]
            consuming: [
                messages_come_in_order_page_by_page,
                foreign_topics_in_between_neither_stall_nor_repeat,
                a_consumer_resumes_where_another_instance_stopped,
                consumers_of_different_names_are_independent,
                a_failing_message_is_handled_again_and_the_ones_before_are_not,
                an_unknown_type_stops_before_it_and_says_where,
                a_payload_that_does_not_decode_stops_before_it_and_says_where,
                an_alias_decodes_as_its_message,
                a_cursor_beyond_the_last_position_is_refused,
            ]
            event_sets: [
                only_the_chosen_messages_come,
                the_cursor_passes_what_was_not_chosen,
                a_page_counts_only_what_was_chosen,
                an_alias_is_chosen_with_its_message,
                a_message_outside_the_set_is_no_error,
            ]
            transactional: [
                effects_and_cursor_commit_together,
                a_failing_message_rolls_back_its_own_effects_only,
                a_failing_page_is_searched_for_the_failing_message,
                a_message_that_fails_at_first_is_handled_once,
                a_panic_rolls_back,
                ending_a_transaction_that_is_none_is_an_error,
                effects_of_a_holder_that_lost_its_lease_are_rolled_back,
            ]
            leases: [
                pages_of_a_backlog_are_handled_under_one_lease,
                a_slow_page_gives_the_lease_back,
                a_lease_lost_between_two_pages_stores_nothing_more,
                a_second_holder_is_locked_out,
                another_name_or_topic_is_not_locked,
                a_lease_given_back_can_be_taken_at_once,
                an_expired_lease_is_taken_over,
                a_lease_expires_by_itself,
                a_stored_cursor_prolongs_the_lease,
                a_renewed_lease_lasts_longer_and_keeps_the_cursor,
                a_late_holder_renews_nothing,
                a_late_holder_stores_nothing,
                a_lease_given_back_stores_nothing,
                a_late_holder_cannot_give_back_the_new_lease,
                an_earlier_lease_of_the_same_owner_is_fenced_too,
                a_consumer_that_loses_its_lease_says_so_and_stores_nothing,
                a_slow_page_keeps_the_lease_and_stores_what_is_done,
                a_failing_page_gives_the_lease_back,
                nobody_else_attempts_a_message_before_its_time,
                of_many_threads_one_gets_the_lease,
            ]
            versions: [
                the_version_is_stored_with_the_message,
                old_versions_come_as_the_current_one,
                a_broken_old_version_stops_before_it_and_says_which_it_was,
                a_newer_version_is_an_unknown_message,
            ]
            unknown: [
                skipping_passes_over_them_and_counts,
                pages_of_nothing_else_do_not_end_the_work,
                a_skipped_message_is_counted_once_when_the_next_one_fails,
                what_was_not_passed_is_not_counted,
                skipping_does_not_pass_over_what_is_broken,
                a_topics_variant_gets_them,
                an_event_sets_variant_gets_them_and_not_what_was_not_chosen,
            ]
            ahead: [
                a_cursor_after_the_last_message_of_a_topic_does_not_hold_the_others_back,
            ]
            several_topics: [
                messages_of_several_topics_come_in_one_order,
                what_is_published_between_two_topics_keeps_its_order,
                what_cannot_be_read_yet_is_not_waited_for,
                the_lease_of_a_topic_without_messages_is_held_as_long,
                each_topic_has_its_cursor,
                a_topic_that_is_ahead_loses_nothing,
                a_bad_message_stops_all_topics_behind_it,
                of_several_bad_messages_the_first_one_is_told,
                cursors_of_all_topics_commit_with_the_effects,
                a_locked_topic_gives_the_others_back,
                the_hook_runs_only_when_all_topics_start,
            ]
            replaying: [
                the_hook_runs_once_before_the_first_message,
                the_hook_waits_for_a_message,
                the_hook_is_not_repeated_when_the_first_message_fails,
                a_failing_hook_handles_nothing_and_is_called_again,
                the_hook_runs_again_after_a_reset_to_the_start,
                a_transactional_hook_is_rolled_back_when_it_fails,
                a_reset_to_the_end_passes_what_is_there,
                a_reset_to_a_position_goes_on_behind_it,
                a_reset_to_a_position_that_never_was_is_refused,
                a_reset_is_refused_while_another_holds_the_lease,
                what_was_handled_before_a_reset_is_a_replay,
                a_reset_to_a_time_goes_on_with_the_first_message_since_then,
            ]
            limits: [
                ten_megabytes_come_back,
                any_text_comes_back,
                every_number_comes_back_to_the_last_bit,
                what_could_not_be_read_back_is_refused,
                a_page_ends_when_its_messages_are_large,
                names_of_255_characters_are_kept_and_longer_ones_refused,
                names_that_some_database_could_not_keep_are_refused,
                custom_headers_are_checked,
                a_page_of_nothing_is_empty,
            ]
        }
    )*};
}

conformance_on! {
    memory: persisting_message_bus_tests::databases::Memory,
    sqlite: persisting_message_bus_tests::databases::Sqlite,
    pooled_sqlite: persisting_message_bus_tests::databases::PooledSqlite,
    postgres: persisting_message_bus_tests::databases::Postgres,
    pooled_postgres: persisting_message_bus_tests::databases::PooledPostgres,
    mariadb: persisting_message_bus_tests::databases::Mariadb,
    pooled_mariadb: persisting_message_bus_tests::databases::PooledMariadb,
}

fn orders() -> MessageDispatcher<Orders> {
    MessageDispatcher::new()
}

/// Handles pages until there is nothing new, and returns the numbers of the orders.
fn consume(bus: &mut impl TestBus, name: &str) -> Vec<u64> {
    let mut seen = Vec::new();
    let mut consumer = MessageConsumer::<Orders>::external(name, |message: &Message<Orders>| {
        seen.push(message.payload().order());
        Ok(())
    });
    while consumer.handle_new_messages(bus).expect("a page") > 0 {}
    drop(consumer);
    seen
}

fn ignore<M>(_message: &M) -> Result<(), HandlerError> {
    Ok(())
}

/// Everything that is stored on a topic, as far as this connection sees it.
fn stored(bus: &mut impl MessageSource, topic: &str) -> Vec<(Position, RawMessage)> {
    let request = PageRequest {
        topic,
        message_types: MessageTypes::All,
        after: Position::START,
        up_to: Position::new(i64::MAX),
        limit: usize::MAX,
    };
    let mut messages = Vec::new();
    bus.read_page(&request, &mut |message| {
        messages.push((message.position, message.to_raw()));
        std::ops::ControlFlow::Continue(())
    })
    .expect("a page");
    messages
}

/// What the databases' connections have in common.
trait TestBus:
    persisting_message_bus::MessageRepository + persisting_message_bus::MessageConsumerState
{
}

impl<B> TestBus for B where
    B: persisting_message_bus::MessageRepository + persisting_message_bus::MessageConsumerState
{
}
