use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::LoadConnection;
use diesel::result::{Error as DieselError, QueryResult};
use diesel::sqlite::Sqlite;

use crate::classify::chain::class_of_cause;
use crate::error::Error;
use crate::error::class::Class;
use crate::sql::dialect::{Statement, Value};
use crate::sql::error::failed_while;
use crate::sql::rows::first_row;
use crate::sql::schema::TableSchema;
use crate::sql::sqlite::file;

/// The settings that several connections to one SQLite file need so that they do not block each
/// other.
///
/// Turns on WAL (once for the file) and foreign keys (for the connection).
///
/// ```
/// use diesel::{Connection, SqliteConnection};
/// use persisting_message_bus::sql::sqlite::Settings;
///
/// let mut connection = SqliteConnection::establish(":memory:")?;
/// Settings::default().apply(&mut connection)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// With the feature `r2d2`, `Settings` is a connection customizer for a pool:
/// `Pool::builder().connection_customizer(Box::new(Settings::default()))`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    busy_timeout: Duration,
    durability: Durability,
}

/// The failures that a completed commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// A commit survives killed processes and a loss of power (`synchronous = FULL`).
    #[default]
    Full,
    /// A commit survives killed processes. A loss of power can undo the last commits: whole
    /// transactions are lost, never parts of them (`synchronous = NORMAL`).
    Normal,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            busy_timeout: Duration::from_secs(5),
            durability: Durability::default(),
        }
    }
}

impl Settings {
    /// Sets how long a writer waits for another writer, in whole milliseconds. Default: 5 seconds.
    /// Zero means that a writer does not wait.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Sets which failures a commit survives. Default: [`Durability::Full`].
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Applies the settings to one connection.
    ///
    /// # Errors
    ///
    /// When the database stays locked for longer than the busy timeout, or the file is not a
    /// database. Also when WAL cannot be turned on, because the file cannot be written, or is on a
    /// network file system. A database in memory needs no WAL, and causes no error.
    pub fn apply<C>(&self, connection: &mut C) -> Result<(), Error>
    where
        C: LoadConnection<Backend = Sqlite> + 'static,
    {
        self.set(connection)
            .map_err(|cause| failed_while("setting up a connection to SQLite", cause))
    }

    /// Applies the settings, and remembers which file the connection has opened. SQLite does not
    /// wait for other connections when it turns on WAL, so this function waits.
    fn set<C>(&self, connection: &mut C) -> QueryResult<()>
    where
        C: LoadConnection<Backend = Sqlite> + 'static,
    {
        let begun = Instant::now();
        loop {
            match connection.batch_execute(&self.to_sql()) {
                Err(cause)
                    if class_of_cause(&cause) == Class::Transient
                        && begun.elapsed() < self.busy_timeout =>
                {
                    thread::sleep(Duration::from_millis(1));
                }
                // A file that cannot be written is one of the reasons.
                Err(cause) if class_of_cause(&cause).is_lost() => {
                    return Err(match expect_wal(connection) {
                        Err(reason @ DieselError::QueryBuilderError(_)) => reason,
                        _ => cause,
                    });
                }
                result => {
                    result?;
                    expect_wal(connection)?;
                    return file::mark(connection);
                }
            }
        }
    }

    fn to_sql(self) -> String {
        let synchronous = match self.durability {
            Durability::Full => "FULL",
            Durability::Normal => "NORMAL",
        };
        format!(
            "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; \
             PRAGMA synchronous = {synchronous}; PRAGMA foreign_keys = ON;",
            i32::try_from(self.busy_timeout.as_millis()).unwrap_or(i32::MAX)
        )
    }
}

/// Fails if a file has another journal mode than WAL. SQLite reports no error when it cannot change
/// the mode. A database in memory has no other connections, and needs no WAL.
fn expect_wal<C>(connection: &mut C) -> QueryResult<()>
where
    C: LoadConnection<Backend = Sqlite> + 'static,
{
    let table = &TableSchema::DEFAULT.messages;
    let statement = Statement::<Value<'_>>::new("PRAGMA journal_mode", table, []).unprepared();
    let mode = first_row(connection, statement, |[mode]| {
        Ok(mode.text("journal_mode")?.to_owned())
    })?;
    let mode = mode.unwrap_or_default();
    if mode == "wal" {
        return Ok(());
    }
    match file::path(connection)? {
        None => Ok(()),
        Some(path) => Err(DieselError::QueryBuilderError(
            format!(
                "WAL cannot be turned on, and the journal mode of {path} is still \"{mode}\", in which \
                 readers and writers block each other: the file and its folder must be writable, and \
                 on a local disk, because WAL does not work on network file systems"
            )
            .into(),
        )),
    }
}

#[cfg(feature = "r2d2")]
impl<C> diesel::r2d2::CustomizeConnection<C, diesel::r2d2::Error> for Settings
where
    C: LoadConnection<Backend = Sqlite> + 'static,
{
    fn on_acquire(&self, connection: &mut C) -> Result<(), diesel::r2d2::Error> {
        self.set(connection)
            .map_err(diesel::r2d2::Error::QueryError)
    }
}
