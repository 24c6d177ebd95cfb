//! The requirements for every backend: one list of cases, each of which is a test on each backend.

mod ahead;
mod bounds;
mod coalescing;
mod consuming;
mod error_texts;
mod event_sets;
mod failing;
mod flows;
mod helpers;
mod hindered;
mod hostile;
mod inbox;
mod keys;
mod late_failures;
mod leases;
mod limits;
mod operators;
mod pausing;
mod publishing;
mod redriving;
mod replaying;
mod retired;
mod several_topics;
mod status;
mod transactional;
mod unknown;
mod versions;

use self::helpers::{CONSUMER, TestBus, consume, ignore, orders, stored, stored_consumer};

/// Makes a test of every case on one database. Braces follow the name of a folder of modules.
macro_rules! conformance {
    ($backend:ident on $database:ty, $(
        $module:ident
        $(: [$($case:ident),* $(,)?])?
        $({ $($part:ident: [$($case_of_part:ident),* $(,)?])* })?
    )*) => {
        mod $backend {$(
            $($(
                #[test]
                fn $case() {
                    super::$module::$case::<$database>();
                }
            )*)?
            $($($(
                #[test]
                fn $case_of_part() {
                    super::$module::$part::$case_of_part::<$database>();
                }
            )*)*)?
        )*}
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
                duplicates_are_ignored_when_on_duplicate_is_ignore,
                a_missing_header_is_refused_and_nothing_written,
                decorators_run_in_their_order,
                publishers_on_many_threads_lose_nothing,
            ]
            coalescing: [
                callers_sharing_a_commit_get_their_own_outcomes,
                a_refused_batch_does_not_fail_others_in_its_commit,
                a_caller_writes_nothing_when_the_queue_timeout_expires,
                a_caller_waits_for_room_when_the_queue_is_full,
                a_closed_coalescer_has_committed_queued_messages,
                a_coalescer_acknowledges_nothing_when_its_connection_is_in_a_transaction,
                messages_of_many_threads_are_stored_once,
                several_connections_lose_nothing,
            ]
            failing: [
                attempts_outlast_the_process,
                a_message_handled_on_retry_leaves_no_failure,
                a_poison_message_stops_the_consumer_before_it,
                a_poison_message_is_parked_and_others_are_handled,
                a_poison_message_is_skipped_and_counted,
                effects_of_the_others_happen_once_when_one_is_parked,
                a_message_of_an_unknown_type_can_be_parked,
                a_consumer_parks_nothing_when_its_lease_is_lost,
                transient_errors_do_not_count_as_attempts,
                a_poison_message_on_one_of_two_topics_is_parked,
                a_reset_forgets_failures_after_its_position,
            ]
            hindered: [
                transient_errors_of_a_handlers_query_do_not_count_as_attempts,
                progress_of_an_external_handler_is_kept_when_a_query_fails,
                permanent_errors_of_a_handlers_query_count_as_attempts,
                a_hook_is_called_again_when_its_query_fails_transiently,
                a_redriven_message_stays_redriven_when_its_query_fails_transiently,
            ]
            redriving {
                order: [
                    redriven_messages_come_in_order_and_before_new_ones,
                    redriven_messages_of_two_topics_come_in_order,
                    one_message_or_one_type_can_be_redriven,
                    discarded_messages_are_not_redriven,
                ]
                outcomes: [
                    messages_redriven_twice_are_handled_once,
                    effects_of_a_redriven_message_are_rolled_back_when_it_fails,
                    a_redriven_message_is_parked_again_when_it_fails,
                    a_redriven_message_stays_redriven_when_its_handler_fails_transiently,
                    a_redriven_unknown_message_is_skipped_when_on_unknown_is_skip,
                ]
                leases: [
                    a_late_holder_takes_no_redriven_message,
                    a_redriven_message_has_no_effect_when_the_lease_is_lost,
                    a_redriven_message_is_not_handled_twice_after_a_late_failure,
                    a_slow_redrive_keeps_the_lease,
                    a_redrive_notices_that_the_lease_is_lost,
                ]
                consumer_state: [
                    a_redriven_message_shows_in_the_status,
                    a_pause_ends_a_long_redrive,
                    a_message_redriven_after_a_replay_is_a_replay,
                    a_new_process_writes_nothing_when_it_has_caught_up,
                ]
            }
            status: [
                a_consumer_goes_through_its_conditions,
                an_expired_lease_does_not_count_as_held,
                a_lease_holder_without_progress_is_not_working,
                failures_show_with_their_error,
                an_attempt_that_fails_is_no_progress,
                a_failure_is_cleared_when_its_message_is_handled,
                lag_is_the_age_of_the_first_message_after_the_cursor,
                a_status_serialises_to_json,
            ]
            late_failures: [
                a_late_failure_does_not_unpark,
                a_late_failure_loses_nothing,
                a_failure_recorded_by_a_late_holder_loses_no_message,
            ]
            error_texts: [
                a_message_is_parked_when_the_text_of_its_error_panics,
            ]
            operators: [
                every_order_is_settled_once_while_operators_redrive_and_discard,
                a_message_that_is_not_parked_is_named_with_its_state,
            ]
            inbox: [
                a_message_from_outside_has_its_effect_once,
                a_delivery_can_be_repeated_when_it_failed,
                consumers_sources_and_ids_are_distinguished,
                simultaneous_deliveries_have_one_effect,
                entries_older_than_the_retention_are_pruned,
            ]
            flows: [
                messages_dispatched_by_a_handler_are_caused_by_its_message,
                a_flow_is_read_as_a_tree,
                a_flow_from_outside_is_continued,
                a_long_flow_is_read_in_part,
                the_current_message_stays_the_cause_in_a_flow_from_outside,
                a_failed_message_is_no_cause_and_a_redriven_one_is,
                a_correlation_id_set_by_the_caller_is_kept,
                malformed_flow_headers_do_not_break_a_flow,
                a_page_handler_chooses_the_causing_message,
                a_handler_sees_the_flow_of_its_message,
            ]
            keys: [
                a_dispatched_message_has_its_key_in_the_header_and_the_slot,
                the_messages_of_a_batch_have_their_keys_whatever_its_size,
                a_key_that_cannot_be_stored_is_refused,
            ]
            pausing: [
                a_paused_consumer_handles_nothing_until_it_is_resumed,
                a_pause_keeps_its_time_and_applies_to_one_consumer,
                a_consumer_that_never_ran_cannot_be_paused,
                a_paused_consumer_can_be_reset,
                pause_and_resume_are_idempotent,
            ]
            consuming: [
                messages_come_in_order_page_by_page,
                messages_of_other_topics_neither_stall_nor_repeat,
                a_consumer_resumes_where_another_instance_stopped,
                consumers_of_different_names_are_independent,
                a_failing_message_is_handled_again_and_the_ones_before_are_not,
                an_unknown_type_stops_the_consumer_and_the_error_says_where,
                an_undecodable_payload_stops_the_consumer_and_the_error_says_where,
                an_alias_decodes_as_its_message,
                a_cursor_beyond_the_last_position_is_refused,
            ]
            event_sets: [
                only_the_chosen_messages_come,
                the_cursor_passes_messages_outside_the_set,
                a_page_counts_only_messages_of_the_set,
                an_alias_is_chosen_with_its_message,
                a_message_outside_the_set_is_no_error,
            ]
            transactional: [
                effects_and_cursor_commit_together,
                a_failing_message_rolls_back_its_own_effects_only,
                a_failing_page_is_searched_for_the_failing_message,
                a_message_that_fails_at_first_is_handled_once,
                a_panic_rolls_back,
                ending_a_transaction_is_an_error_when_none_is_open,
                effects_of_a_holder_that_lost_its_lease_are_rolled_back,
            ]
            leases {
                protocol: [
                    a_second_holder_is_locked_out,
                    another_name_or_topic_is_not_locked,
                    a_released_lease_can_be_acquired_at_once,
                    an_expired_lease_is_taken_over,
                    a_lease_expires_by_itself,
                    a_stored_cursor_renews_the_lease,
                    a_renewed_lease_lasts_longer_and_keeps_the_cursor,
                    a_late_holder_renews_nothing,
                    a_late_holder_stores_nothing,
                    a_released_lease_stores_nothing,
                    a_late_holder_cannot_release_the_new_lease,
                    an_earlier_lease_of_the_same_owner_is_fenced_too,
                    one_of_many_threads_acquires_the_lease,
                ]
                consumers: [
                    pages_of_a_backlog_are_handled_under_one_lease,
                    the_lease_is_released_when_a_page_exceeds_the_time_slice,
                    a_lease_lost_between_two_pages_stores_nothing_more,
                    a_consumer_that_loses_its_lease_fails_and_stores_nothing,
                    a_slow_page_renews_the_lease_and_stores_its_progress,
                    a_failing_page_releases_the_lease_when_the_backoff_is_zero,
                    the_lease_is_held_during_the_backoff,
                ]
                ending: [
                    a_lease_in_the_far_future_can_be_ended,
                    a_lease_of_usual_length_is_not_unusually_late,
                    an_ended_lease_fences_its_holder,
                    the_work_of_an_ended_lease_is_suspect,
                    a_page_that_is_noted_with_the_lease_is_suspect_after_its_holder,
                    a_suspicion_that_is_over_is_forgotten,
                    a_lease_without_a_holder_is_not_ended,
                    a_holder_at_work_notices_that_its_lease_was_ended,
                ]
            }
            versions: [
                the_version_is_stored_with_the_message,
                old_versions_come_as_the_current_one,
                a_broken_old_version_stops_the_consumer_and_is_named,
                a_newer_version_is_an_unknown_message,
            ]
            unknown: [
                unknown_messages_are_skipped_and_counted,
                pages_of_unknown_messages_do_not_end_the_cycle,
                a_skipped_message_is_counted_once_when_the_next_one_fails,
                an_unknown_message_is_not_counted_when_the_hook_fails,
                broken_messages_are_not_skipped_as_unknown,
                a_topics_unknown_variant_gets_unknown_messages,
                an_event_sets_unknown_variant_gets_unknown_messages_only,
            ]
            retired: [
                messages_of_retired_types_are_not_selected,
                unknown_variants_get_no_messages_of_retired_types,
                a_consumer_continues_when_the_type_before_which_it_waits_is_retired,
                a_redriven_message_of_a_retired_type_is_forgotten,
            ]
            ahead: [
                a_cursor_after_the_last_message_of_a_topic_does_not_hold_back_others,
            ]
            several_topics {
                order: [
                    messages_of_several_topics_come_in_one_order,
                    messages_published_between_two_reads_keep_their_order,
                    a_consumer_does_not_wait_for_messages_after_the_high_water_mark,
                ]
                failures: [
                    a_topic_that_is_ahead_loses_nothing,
                    a_bad_message_stops_all_topics_after_it,
                    the_first_of_several_bad_messages_is_reported,
                ]
                cursors: [
                    each_topic_has_its_cursor,
                    cursors_of_all_topics_commit_with_the_effects,
                    the_lease_of_a_topic_without_messages_is_renewed_too,
                    leases_of_other_topics_are_released_when_one_topic_is_held,
                    the_hook_runs_only_when_all_topics_start,
                ]
            }
            replaying: [
                the_hook_runs_once_before_the_first_message,
                the_hook_waits_for_a_message,
                the_hook_is_not_repeated_when_the_first_message_fails,
                the_hook_runs_when_the_first_message_is_parked,
                a_failing_hook_handles_nothing_and_is_called_again,
                a_failing_hook_before_unwanted_messages_is_called_again,
                the_hook_runs_again_after_a_reset_to_the_start,
                a_transactional_hook_is_rolled_back_when_it_fails,
                a_reset_to_the_end_skips_existing_messages,
                a_reset_to_a_position_continues_after_it,
                a_reset_to_a_position_that_never_was_is_refused,
                a_reset_is_refused_while_another_holds_the_lease,
                messages_handled_before_a_reset_are_replays,
                a_reset_to_a_time_continues_with_the_first_message_since_then,
            ]
            bounds: [
                messages_of_rare_types_come_in_order,
                a_long_backlog_is_counted_exactly,
                progress_is_kept_when_the_search_for_a_rare_type_is_interrupted,
                a_time_is_found_among_many_messages,
                many_parked_messages_are_counted_redriven_and_discarded,
                a_large_inbox_is_pruned,
            ]
            limits: [
                ten_megabytes_come_back,
                any_text_comes_back,
                every_number_comes_back_to_the_last_bit,
                messages_that_could_not_be_read_back_are_refused,
                a_page_ends_when_its_messages_are_large,
                names_of_255_characters_are_kept_and_longer_ones_refused,
                names_that_a_database_could_not_keep_are_refused,
                custom_headers_are_checked,
                a_page_of_nothing_is_empty,
            ]
            hostile {
                messages: [
                    every_repository_refuses_the_same_messages,
                    a_refused_message_leaves_the_callers_transaction_usable,
                    accepted_messages_come_back,
                    large_batches_come_back_as_single_messages_do,
                    a_relay_carries_every_accepted_message,
                    a_dispatch_refuses_values_that_could_not_be_read_back,
                    a_relay_carries_a_foreign_flow,
                ]
                flows: [
                    any_correlation_id_is_accepted_and_found,
                    an_empty_correlation_id_starts_a_flow,
                    an_invalid_traceparent_is_left_out,
                ]
            }
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
    async_sqlite: persisting_message_bus_tests::databases::AsyncSqlite,
    async_postgres: persisting_message_bus_tests::databases::AsyncPostgres,
    deadpool_postgres: persisting_message_bus_tests::databases::PooledAsyncPostgres,
    async_mariadb: persisting_message_bus_tests::databases::AsyncMariadb,
}
