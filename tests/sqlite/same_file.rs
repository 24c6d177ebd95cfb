//! Databases whose file was not replaced, by whatever name they are opened.

use std::fs;
use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use persisting_message_bus::sql::migrate;
use persisting_message_bus::{MessageBus, MessageConsumer};
use persisting_message_bus_tests::databases::{Database, Sqlite};
use persisting_message_bus_tests::topics::Orders;

use super::ignore;
use super::replaced::{assert_disconnected, place, poll, replace};

/// Polls a connection often, also after commits of its own and of another connection.
fn assert_no_alarm(path: &str, same: bool) {
    let mut bus = SqliteConnection::establish(path).unwrap();
    migrate(&mut bus).unwrap();
    for order in 0..5 {
        place(&mut bus, order..=order);
        let handled = poll(&mut bus);
        assert_eq!(handled.unwrap_or_else(|e| panic!("{path}: {e:#}")), 1);
        assert_eq!(poll(&mut bus).unwrap(), 0);
    }
    if same {
        let mut other = SqliteConnection::establish(path).unwrap();
        place(&mut other, 5..=5);
        assert_eq!(poll(&mut bus).unwrap(), 1, "{path}");
        assert_eq!(poll(&mut other).unwrap(), 0, "{path}");
    }
    bus.batch_execute("VACUUM").unwrap();
    assert_eq!(poll(&mut bus).unwrap(), 0, "{path}");
}

#[test]
fn databases_in_memory_are_no_alarm() {
    for path in [":memory:", "", "file::memory:"] {
        assert_no_alarm(path, false);
    }
    for path in [
        "file::memory:?cache=shared",
        "file:named?mode=memory&cache=shared",
    ] {
        assert_no_alarm(path, true);
    }
}

#[test]
fn a_file_by_another_name_is_no_alarm() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    assert_no_alarm(&format!("file:{folder}/plain.db"), true);
    assert_no_alarm(
        &format!("file:{folder}/created.db?mode=rwc&cache=private"),
        true,
    );
    assert_no_alarm(&format!("file:{folder}/a%20%3F%23b.db"), true);
    assert_no_alarm(
        &format!("{folder}/./../{}", relative_to_parent(folder)),
        true,
    );
    assert_no_alarm(&format!("{folder}/with 'quotes' and ümläut.db"), true);
    let target = format!("{folder}/target.db");
    fs::write(&target, "").unwrap();
    std::os::unix::fs::symlink(&target, format!("{folder}/link.db")).unwrap();
    assert_no_alarm(&format!("{folder}/link.db"), true);
}

fn relative_to_parent(folder: &str) -> String {
    let name = Path::new(folder).file_name().unwrap().to_str().unwrap();
    format!("{name}/dotted.db")
}

#[test]
fn an_attached_database_is_no_alarm() {
    let (database, attached) = (Sqlite::create(), Sqlite::create());
    let mut bus = database.connect();
    let attach = format!("ATTACH '{}' AS other", attached.path());
    bus.batch_execute(&attach).unwrap();
    place(&mut bus, 1..=2);
    assert_eq!(poll(&mut bus).unwrap(), 2);
    replace(&attached.path(), 1..=1);
    assert_eq!(poll(&mut bus).unwrap(), 0);
    bus.batch_execute("DETACH other").unwrap();
    bus.batch_execute(&attach).unwrap();
    place(&mut bus, 3..=3);
    assert_eq!(poll(&mut bus).unwrap(), 1);
    replace(&database.path(), 1..=1);
    assert_disconnected(&poll(&mut bus).unwrap_err(), &database.path(), "replaced");
}

#[test]
fn a_connection_that_only_reads_is_no_alarm() {
    let (database, state) = (Sqlite::create(), Sqlite::create());
    let mut bus = database.connect();
    place(&mut bus, 1..=3);
    let mut query_only = database.connect();
    query_only.batch_execute("PRAGMA query_only = 1").unwrap();
    let read_only = format!("file:{}?mode=ro", database.path());
    let read_only = SqliteConnection::establish(&read_only).unwrap();
    for (name, messages) in [("query_only", query_only), ("read_only", read_only)] {
        let mut joined = MessageBus::new(messages, state.connect());
        let mut consumer = MessageConsumer::<Orders>::external(name, ignore);
        for handled in [3, 0, 0] {
            let result = consumer.handle_new_messages(&mut joined);
            assert_eq!(result.unwrap_or_else(|e| panic!("{name}: {e:#}")), handled);
        }
    }
}
