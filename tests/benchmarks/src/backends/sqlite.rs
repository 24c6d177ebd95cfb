use std::fs;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use persisting_message_bus::diesel::migrate;
use persisting_message_bus::diesel::sqlite::{Durability, Settings};
use tempfile::TempDir;

use super::Backend;
use crate::{Failure, raw};

/// Writers wait as long as it takes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);

/// With `synchronous = FULL`, as the library recommends, or with NORMAL.
pub struct Sqlite<const FULL: bool>(TempDir);

impl<const FULL: bool> Sqlite<FULL> {
    pub fn start() -> Result<Self, Failure> {
        Ok(Self(tempfile::tempdir()?))
    }
}

impl<const FULL: bool> Backend for Sqlite<FULL> {
    const NAME: &'static str = if FULL { "sqlite" } else { "sqlite (NORMAL)" };
    const MOST_PUBLISHERS: usize = 16;

    const PLAIN_PUBLISHERS: usize = 1;
    const PLAIN: &'static str = "1 connection, autocommit";

    type Connection = SqliteConnection;
    type Raw = raw::Sqlite;

    fn create(&self, name: &str) -> Result<String, Failure> {
        let path = self.0.path().join(format!("{name}.db"));
        let url = path.display().to_string();
        migrate(&mut Self::connect(&url)?)?;
        Ok(url)
    }

    fn remove(&self, url: &str) -> Result<(), Failure> {
        for suffix in ["-wal", "-shm", ""] {
            let path = format!("{url}{suffix}");
            if fs::exists(&path)? {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn connect(url: &str) -> Result<SqliteConnection, Failure> {
        let mut connection = SqliteConnection::establish(url)?;
        let durability = if FULL {
            Durability::Full
        } else {
            Durability::Normal
        };
        let settings = Settings::default().busy_timeout(BUSY_TIMEOUT);
        settings.durability(durability).apply(&mut connection)?;
        Ok(connection)
    }

    fn connect_raw(url: &str) -> Result<raw::Sqlite, Failure> {
        let synchronous = if FULL { "FULL" } else { "NORMAL" };
        raw::Sqlite::connect(url, synchronous, BUSY_TIMEOUT)
    }

    fn settle(url: &str) -> Result<(), Failure> {
        Ok(Self::connect(url)?.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)")?)
    }
}
