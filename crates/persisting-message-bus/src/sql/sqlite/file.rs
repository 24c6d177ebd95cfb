//! Notices that the file of a connection was replaced.
//!
//! A connection keeps reading the file that it has opened, even after that file was deleted or
//! another one was moved to its place. So the identity of the file is kept with the connection, as
//! the name of a temporary table, and compared with the file at the path.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;

use diesel::connection::LoadConnection;
use diesel::result::QueryResult;
use diesel::sqlite::Sqlite;
use tracing::debug;

use crate::error::Error;
use crate::error::class::Class;
use crate::sql::dialect::{Statement, Value};
use crate::sql::executor::on_sync::OnSync;
use crate::sql::own_transactions::abandon;
use crate::sql::rows::{BrokenColumn, Column, first_row};
use crate::sql::schema::{MessageTable, TableSchema};

/// The path of the file, and the mark of the connection. The pattern is that of `MARK`.
pub(super) const FILE_AND_MARK: &str = "
    (SELECT file FROM pragma_database_list WHERE name = 'main'),
    (SELECT name FROM sqlite_temp_master WHERE name LIKE 'persisting_message_bus_file_%')";

const MARK: &str = "persisting_message_bus_file_";

/// What a connection knows of its file.
#[derive(Debug)]
pub(super) struct OpenFile {
    /// The path; `None` for a database in memory.
    pub(super) path: Option<String>,
    /// The identity of the file when the connection first read it, as it is stored.
    pub(super) mark: Option<String>,
}

impl OpenFile {
    pub(super) fn read(
        path: &mut Column<'_, Sqlite>,
        mark: &mut Column<'_, Sqlite>,
    ) -> Result<Self, BrokenColumn> {
        Ok(Self {
            path: path.optional_text("file")?.map(str::to_owned),
            mark: mark.optional_text("name")?.map(str::to_owned),
        })
    }
}

/// Returns the path of the file; `None` for a database in memory.
pub(super) fn path<C>(connection: &mut C) -> QueryResult<Option<String>>
where
    C: LoadConnection<Backend = Sqlite> + 'static,
{
    let path = open_file(connection)?.and_then(|file| file.path);
    Ok(path.filter(|path| !path.is_empty()))
}

fn open_file<C>(connection: &mut C) -> QueryResult<Option<OpenFile>>
where
    C: LoadConnection<Backend = Sqlite> + 'static,
{
    let table = &TableSchema::DEFAULT.messages;
    let statement = Statement::<Value<'_>>::new(format!("SELECT {FILE_AND_MARK}"), table, []);
    first_row(connection, statement, |[path, mark]| {
        OpenFile::read(path, mark)
    })
}

/// Marks a new connection, so that it notices later that its file was replaced. Otherwise, the
/// first poll marks it.
pub(super) fn mark<C>(connection: &mut C) -> QueryResult<()>
where
    C: LoadConnection<Backend = Sqlite> + 'static,
{
    let table = &TableSchema::DEFAULT.messages;
    let file = open_file(connection)?;
    // An error means that the file was replaced within this moment. The first poll finds it again.
    let _checked = file.map(|file| check(connection, table, &file));
    Ok(())
}

/// Fails if another file is at the path, or none. Marks the connection at its first call.
pub(super) fn check<C>(
    connection: &mut C,
    table: &MessageTable,
    file: &OpenFile,
) -> Result<(), Error>
where
    C: LoadConnection<Backend = Sqlite> + 'static,
{
    let Some(path) = file.path.as_deref().filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let now = match identity(path) {
        Ok(identity) => Some(format!("{MARK}{identity}")),
        Err(cause) if cause.kind() == ErrorKind::NotFound => None,
        // The path cannot be checked, but the connection works.
        Err(cause) => {
            debug!(path, error = %cause, "cannot check whether the file was replaced");
            return Ok(());
        }
    };
    match (now, &file.mark) {
        (Some(now), None) => {
            let create = format!("CREATE TEMP TABLE IF NOT EXISTS {now} (mark)");
            let create = Statement::<Value<'_>>::new(create, table, []);
            if let Err(cause) = connection.execute_returning_count(&create) {
                debug!(path, error = %cause, "cannot remember the identity of the file");
            }
            Ok(())
        }
        (Some(now), Some(mark)) if now == *mark => Ok(()),
        (now, _) => {
            let what = if now.is_some() { "replaced" } else { "deleted" };
            let cause = format!(
                "the file was {what} while this connection had it open, so the connection reads the \
                 former file"
            );
            abandon(&mut OnSync(connection));
            let doing = format!("reading messages from {path}");
            Err(Error::of_repository(doing, cause, Class::Disconnected))
        }
    }
}

/// Returns a number that tells the file at a path from another one.
#[cfg(unix)]
fn identity(path: &str) -> std::io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path)?;
    let mut hasher = DefaultHasher::new();
    (metadata.dev(), metadata.ino()).hash(&mut hasher);
    Ok(hasher.finish())
}

/// Only the path is known. Elsewhere, an open file is not replaced.
#[cfg(not(unix))]
fn identity(path: &str) -> std::io::Result<u64> {
    std::fs::metadata(path)?;
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    Ok(hasher.finish())
}
