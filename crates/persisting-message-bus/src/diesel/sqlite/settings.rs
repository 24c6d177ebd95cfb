use std::thread;
use std::time::{Duration, Instant};

use diesel::Connection;
use diesel::result::QueryResult;
use diesel::sqlite::Sqlite;

use crate::Error;
use crate::diesel::class::class_of_cause;
use crate::diesel::error::failed_while;
use crate::error::class::Class;

/// What several connections to one SQLite file need to get on with each other.
///
/// Turns on WAL (once for the file) and foreign keys (for the connection).
///
/// ```
/// use diesel::{Connection, SqliteConnection};
/// use persisting_message_bus::diesel::sqlite::Settings;
///
/// let mut connection = SqliteConnection::establish(":memory:")?;
/// Settings::default().apply(&mut connection)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// With the feature `r2d2`, it is a connection customizer for a pool:
/// `Pool::builder().connection_customizer(Box::new(Settings::default()))`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    busy_timeout: Duration,
    durability: Durability,
}

/// What a commit that has returned survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Killed processes and loss of power (`synchronous = FULL`).
    #[default]
    Full,
    /// Killed processes; the last commits may be undone by a loss of power, all of each
    /// (`synchronous = NORMAL`).
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
    /// Sets how long a writer waits for another one, in milliseconds (finer is cut off); 5 seconds
    /// without this. Zero does not wait.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Sets what a commit survives; [`Durability::Full`] without this.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets up one connection.
    ///
    /// # Errors
    ///
    /// When the database is locked for longer than the busy timeout, or is not a database.
    pub fn apply<C>(&self, connection: &mut C) -> Result<(), Error>
    where
        C: Connection<Backend = Sqlite>,
    {
        self.set(connection)
            .map_err(|cause| failed_while("setting up a connection to SQLite", cause))
    }

    /// SQLite does not wait for others where it turns on WAL, so that is done here.
    fn set<C>(&self, connection: &mut C) -> QueryResult<()>
    where
        C: Connection<Backend = Sqlite>,
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
                result => return result,
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

#[cfg(feature = "r2d2")]
impl<C> diesel::r2d2::CustomizeConnection<C, diesel::r2d2::Error> for Settings
where
    C: Connection<Backend = Sqlite> + 'static,
{
    fn on_acquire(&self, connection: &mut C) -> Result<(), diesel::r2d2::Error> {
        self.set(connection)
            .map_err(diesel::r2d2::Error::QueryError)
    }
}
