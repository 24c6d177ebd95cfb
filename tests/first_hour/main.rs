//! Mistakes of the first hour with the library. The text of each error names what to do. Mistakes that
//! do not compile are in `ui`.

mod databases;
mod migrating;
mod missing_tables;
mod own_transactions;
mod restricted_users;
mod runners;
mod wal;

use persisting_message_bus::handler::HandlerError;
use persisting_message_bus::{Error, Message, MessageDispatcher};
use persisting_message_bus_tests::topics::Orders;

fn orders() -> MessageDispatcher<Orders> {
    MessageDispatcher::new()
}

fn ignore(_: &Message<Orders>) -> Result<(), HandlerError> {
    Ok(())
}

/// Checks that the text of an error has these parts.
#[track_caller]
fn assert_says(error: &Error, parts: &[&str]) {
    let text = format!("{error:#}");
    for part in parts {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}

/// Defines the tests on each database.
macro_rules! on_databases {
    ($($case:ident),* $(,)?) => { on_databases! { @each [$($case)*]
        sqlite: Sqlite, postgres: Postgres, mariadb: Mariadb,
    }};
    (@each $cases:tt $($name:ident: $database:ident,)*) => {
        $(on_databases! { @one $cases $name $database })*
    };
    (@one [$($case:ident)*] $name:ident $database:ident) => {
        mod $name {
            $(#[test]
            fn $case() {
                super::$case::<persisting_message_bus_tests::databases::$database>();
            })*
        }
    };
}
use on_databases;
