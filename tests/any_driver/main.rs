//! Programs that publish through other drivers and languages, beside this library's publishers.

mod beside;
mod clients;
mod interleavings;
mod mariadb;
mod postgres;
mod reader;
mod refused;
mod soak;
mod sqlite;
mod stored;
mod tables;

/// Runs every case on databases that assign positions before the commit.
macro_rules! on_servers {
    ($($backend:ident: $database:ident),*; $($module:ident: [$($case:ident),* $(,)?])*) => {
        on_servers! { @ [$($backend: $database),*] [$($($module $case)*)*] }
    };
    (@ [$($backend:ident: $database:ident),*] $cases:tt) => {$(
        mod $backend {
            on_servers! { @cases $database $cases }
        }
    )*};
    (@cases $database:ident [$($module:ident $case:ident)*]) => {$(
        #[test]
        fn $case() {
            crate::$module::$case::<persisting_message_bus_tests::databases::$database>();
        }
    )*};
}

mod on {
    on_servers! {
        postgres: Postgres, mariadb: Mariadb;
        interleavings: [
            a_late_commit_of_any_client_is_not_skipped,
            without_the_announcement_a_late_commit_is_skipped,
            a_late_commit_is_not_skipped_with_the_guard,
            a_client_that_publishes_the_first_message_is_waited_for,
            a_rolled_back_savepoint_keeps_the_announcement,
            a_client_and_the_library_share_a_transaction,
            a_call_that_waits_to_announce_itself_has_no_position,
            a_publisher_outside_of_a_transaction_is_waited_for,
            a_publisher_outside_of_a_transaction_holds_nothing_afterwards,
            a_cancelled_call_leaves_no_transaction_open,
        ]
        refused: [
            a_wrong_argument_is_named,
            the_function_refuses_the_messages_that_the_library_refuses,
            a_duplicate_is_an_error,
            a_failure_leaves_the_transaction_of_the_caller_as_it_was,
        ]
        stored: [
            a_statement_stores_the_row_of_a_dispatch,
            defaults_are_an_id_of_version_7_and_the_current_time,
            the_function_stores_the_messages_that_the_library_stores,
        ]
        tables: [
            the_migration_has_the_text_of_the_call,
            the_migration_can_be_reverted_and_repeated,
            other_names_have_a_function_of_another_name,
        ]
        soak: [
            everything_committed_by_any_client_is_read_once,
        ]
    }
}
