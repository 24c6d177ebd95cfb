//! Publishing from async code, on each async connection.

mod cancelled;
mod coalescing;
mod databases;
mod inbox;
mod interleavings;
mod lost;
mod soak;
mod tables;
mod transactions;

/// Makes a test of every case on each database.
macro_rules! publishing_on {
    ($($name:ident: $database:ty),* $(,)?) => {$(
        mod $name {
            publishing_on! { @cases $database:
                transactions: [
                    a_message_is_visible_if_and_only_if_its_transaction_commits,
                    a_batch_keeps_its_order_whatever_its_size,
                    a_duplicate_is_refused_and_leaves_the_transaction_usable,
                    duplicates_are_ignored_when_on_duplicate_is_ignore,
                    a_rolled_back_savepoint_takes_only_its_own_messages,
                    a_message_that_cannot_be_kept_is_refused,
                    a_dispatch_can_be_spawned,
                    messages_of_a_task_have_the_cause_that_was_set_when_they_were_dispatched,
                    the_current_thread_can_run_it,
                ]
                tables: [
                    a_missing_table_is_named,
                    tables_can_have_other_names,
                ]
                interleavings: [
                    a_consumer_waits_for_a_message_before_the_commits_of_others,
                ]
                cancelled: [
                    a_dispatch_that_is_dropped_at_any_await_is_written_with_its_transaction_or_not_at_all,
                    a_dispatch_of_its_own_that_is_dropped_is_written_once_or_not_at_all,
                    a_large_batch_that_is_dropped_leaves_no_transaction_in_use,
                ]
                lost: [
                    a_connection_that_the_server_ends_is_lost,
                    a_coalescer_replaces_a_lost_connection,
                ]
                inbox: [
                    a_message_from_outside_has_its_effect_once,
                    simultaneous_deliveries_have_one_effect,
                    a_failed_delivery_can_be_repeated,
                    an_ignored_error_is_no_success,
                    old_entries_are_pruned,
                ]
                coalescing: [
                    messages_of_many_tasks_are_stored_once,
                    callers_that_share_a_commit_get_their_own_outcomes,
                    a_connection_in_a_transaction_acknowledges_nothing,
                    a_dispatch_that_is_dropped_while_it_waits_is_not_written,
                    a_caller_waits_no_longer_than_its_timeout,
                ]
                soak: [
                    everything_committed_by_tasks_and_threads_is_read_once,
                ]
            }
        }
    )*};
    (@cases $database:ty: $($module:ident: [$($case:ident),* $(,)?])*) => {
        $($(
            #[test]
            fn $case() {
                crate::$module::$case::<$database>();
            }
        )*)*
    };
}

publishing_on! {
    sqlite: crate::databases::AsyncSqlite,
    postgres: crate::databases::AsyncPostgres,
    pooled_postgres: crate::databases::PooledAsyncPostgres,
    mariadb: crate::databases::AsyncMariadb,
}
