//! `Settings::apply` succeeds only if WAL is on, or is not needed.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, Pool};
use diesel::{Connection, SqliteConnection};
use persisting_message_bus::sql::sqlite::Settings;

use super::assert_says;

fn quick() -> Settings {
    Settings::default().busy_timeout(Duration::from_millis(20))
}

#[test]
fn a_database_in_memory_needs_no_wal() {
    for address in [":memory:", "", "file:shop?mode=memory&cache=shared"] {
        let mut connection = SqliteConnection::establish(address).unwrap();
        quick().apply(&mut connection).unwrap();
    }
}

#[test]
fn a_file_that_cannot_be_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bus.db");
    let path = path.to_str().unwrap();
    let mut writer = SqliteConnection::establish(path).unwrap();
    writer.batch_execute("CREATE TABLE other (id)").unwrap();
    let address = format!("file:{path}?mode=ro");
    let mut reader = SqliteConnection::establish(&address).unwrap();
    let error = quick().apply(&mut reader).unwrap_err();
    assert_says(&error, &["WAL", path, "writable"]);
    // A writer has turned WAL on.
    quick().apply(&mut writer).unwrap();
    let mut reader = SqliteConnection::establish(&address).unwrap();
    quick().apply(&mut reader).unwrap();
}

#[test]
fn a_busy_file_is_a_retryable_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bus.db");
    let path = path.to_str().unwrap();
    let mut writer = SqliteConnection::establish(path).unwrap();
    writer.batch_execute("BEGIN EXCLUSIVE").unwrap();
    let mut other = SqliteConnection::establish(path).unwrap();
    let error = quick().apply(&mut other).unwrap_err();
    assert!(error.is_retryable(), "{error:#}");
    writer.batch_execute("COMMIT").unwrap();
    quick().apply(&mut other).unwrap();
}

/// A file system without shared memory has the same effect: SQLite keeps its mode, and reports
/// nothing.
#[test]
fn a_mode_that_does_not_change_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bus.db");
    let path = path.to_str().unwrap();
    // The alternative to shared memory, which needs an exclusive lock, is excluded too.
    let address = format!("file:{path}?vfs=unix-dotfile");
    let mut connection = SqliteConnection::establish(&address).unwrap();
    let error = quick().apply(&mut connection).unwrap_err();
    let parts = [
        "WAL cannot be turned on",
        path,
        "\"delete\"",
        "on a local disk",
    ];
    assert_says(&error, &parts);
    let manager = ConnectionManager::<SqliteConnection>::new(&address);
    let pool = Pool::builder()
        .max_size(1)
        .connection_timeout(Duration::from_millis(200))
        .connection_customizer(Box::new(quick()))
        .build(manager);
    let error = pool.expect_err("a connection without WAL").to_string();
    assert!(error.contains("WAL cannot be turned on"), "{error}");
}
