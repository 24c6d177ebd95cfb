//! Rolling deployments: old and new programs of one consumer's name run side by side, in processes
//! that are killed and replaced at random moments. Nothing is lost, effects in transactions happen
//! once, and no program handles a message that it does not know.
//!
//! `SOAK_SECONDS=30 cargo test --release --test rolling` makes the phases of each case longer.

mod cases;
mod deployment;
mod fleet;
mod history;
mod letters;
mod publisher;
mod records;
mod sql;
mod verdict;
mod worker;

macro_rules! deployments_on {
    ($($backend:ident: $database:ident),* $(,)?) => {$(
        mod $backend {
            use persisting_message_bus_tests::databases::$database;

            deployments_on! { @cases $database
                everything_committed_is_handled_when_types_are_added_from_now_on,
                everything_committed_is_handled_when_added_types_are_replayed,
                everything_committed_is_handled_when_a_newer_program_knows_a_new_type,
                everything_committed_is_handled_after_a_roll_back_from_now_on,
                everything_committed_is_handled_after_a_roll_back_again,
            }
        }
    )*};
    (@cases $database:ident $($case:ident),* $(,)?) => {$(
        #[test]
        fn $case() {
            super::cases::$case::<$database>();
        }
    )*};
}

deployments_on! {
    sqlite: Sqlite,
    postgres: Postgres,
    mariadb: Mariadb,
}
