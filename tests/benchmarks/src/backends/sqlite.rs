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

pub struct Sqlite {
    folder: TempDir,
    durability: Durability,
}

impl Sqlite {
    pub fn start(durability: Durability) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        Ok(Self { folder, durability })
    }
}

impl Backend for Sqlite {
    type Connection = SqliteConnection;
    type Raw = raw::Sqlite;

    const MOST_PUBLISHERS: usize = 16;

    fn name(&self) -> &'static str {
        match self.durability {
            Durability::Full => "sqlite",
            Durability::Normal => "sqlite (NORMAL)",
        }
    }

    fn create(&self, name: &str) -> Result<String, Failure> {
        let path = self.folder.path().join(format!("{name}.db"));
        let url = path.display().to_string();
        migrate(&mut self.connect(&url)?)?;
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

    fn connect(&self, url: &str) -> Result<SqliteConnection, Failure> {
        let mut connection = SqliteConnection::establish(url)?;
        let settings = Settings::default().busy_timeout(BUSY_TIMEOUT);
        settings
            .durability(self.durability)
            .apply(&mut connection)?;
        Ok(connection)
    }

    fn connect_raw(&self, url: &str) -> Result<raw::Sqlite, Failure> {
        let synchronous = match self.durability {
            Durability::Full => "FULL",
            Durability::Normal => "NORMAL",
        };
        raw::Sqlite::connect(url, synchronous, BUSY_TIMEOUT)
    }

    fn settle(&self, url: &str) -> Result<(), Failure> {
        Ok(self
            .connect(url)?
            .batch_execute("PRAGMA wal_checkpoint(TRUNCATE)")?)
    }
}
