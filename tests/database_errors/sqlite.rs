//! Errors of SQLite, provoked.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use persisting_message_bus::Error;
use persisting_message_bus::backend::TransactionControl;
use persisting_message_bus_tests::databases::{Database, Sqlite};
use persisting_message_bus_tests::topics::OrderPlaced;

use super::{handle_first, is_attempted, orders};

#[test]
fn a_locked_file_is_transient_for_the_handlers_own_connection() {
    let database = Sqlite::create();
    let mut bus = database.connect();
    let handled = handle_first(&mut bus, |_| {
        // The transaction of the bus has already written.
        let mut own = SqliteConnection::establish(&database.path())?;
        own.batch_execute("CREATE TABLE stock (id INTEGER)")?;
        Ok(())
    });
    let error = handled.unwrap_err();
    assert!(
        error.is_retryable() && !error.is_disconnected(),
        "{error:?}"
    );
    assert!(
        format!("{error:#}").contains("database is locked"),
        "{error:#}"
    );
    assert!(!is_attempted(&mut bus));
}

#[test]
fn a_table_locked_in_a_shared_cache_is_transient() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file:{}/shared.db?cache=shared", folder.path().display());
    let [mut one, mut other] = [(); 2].map(|()| SqliteConnection::establish(&url).unwrap());
    one.batch_execute("CREATE TABLE stock (id INTEGER); BEGIN; INSERT INTO stock VALUES (1)")
        .unwrap();
    let cause = diesel::sql_query("INSERT INTO stock VALUES (2)").execute(&mut other);
    let error = Error::from(cause.unwrap_err());
    assert!(error.is_retryable(), "{error:?}");
    assert!(
        error.to_string().contains("the cause is temporary"),
        "{error}"
    );
}

#[test]
fn a_full_disk_is_transient() {
    let database = Sqlite::create();
    let mut bus = database.connect();
    bus.batch_execute("PRAGMA max_page_count = 20").unwrap();
    let note = "x".repeat(1_000_000);
    let large = OrderPlaced { order: 1, note };
    let error = orders().dispatch(&mut bus, &large).unwrap_err();
    assert!(error.is_retryable() && !error.is_too_large(), "{error:?}");
    bus.batch_execute("PRAGMA max_page_count = 100000").unwrap();
    orders().dispatch(&mut bus, &large).unwrap();
}

#[test]
fn a_read_only_file_is_reported_as_disconnected() {
    let database = Sqlite::create();
    let url = format!("file:{}?mode=ro", database.path());
    let mut bus = SqliteConnection::establish(&url).unwrap();
    let error = orders()
        .dispatch(&mut bus, &OrderPlaced::number(1))
        .unwrap_err();
    assert!(error.is_disconnected(), "{error:?}");
}

#[test]
fn an_oversized_value_is_reported_as_too_large() {
    let database = Sqlite::create();
    let mut bus = database.connect();
    let cause = diesel::sql_query("SELECT length(zeroblob(2000000000))").execute(&mut bus);
    let error = Error::from(cause.unwrap_err());
    assert!(error.is_too_large() && !error.is_retryable(), "{error:?}");
    bus.in_transaction(|bus| orders().dispatch(bus, &OrderPlaced::number(1)))
        .unwrap();
}
