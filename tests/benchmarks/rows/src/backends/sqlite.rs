use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::{
    Connection, ExpressionMethods, QueryResult, RunQueryDsl, SqliteConnection, insert_into,
};
use persisting_message_bus::sql::migrate;
use persisting_message_bus::sql::sqlite::{Durability, Settings};

use super::{Backend, handled};
use crate::Failure;

/// The time that a writer waits for another one; long enough for every benchmark.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(60);

/// A folder for the files, which use `synchronous = FULL`, as the library recommends, or NORMAL.
pub struct Sqlite<const FULL: bool>(pub PathBuf);

impl<const FULL: bool> Backend for Sqlite<FULL> {
    const NAME: &'static str = if FULL { "sqlite" } else { "sqlite (NORMAL)" };

    const INSERTS: u64 = 50_000;

    type Connection = SqliteConnection;

    fn create(&self, name: &str) -> Result<String, Failure> {
        let path = self.0.join(format!("{name}.db"));
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

    fn settle(url: &str) -> Result<(), Failure> {
        Ok(Self::connect(url)?.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)")?)
    }

    fn insert_handled(connection: &mut SqliteConnection, order: i64) -> QueryResult<usize> {
        let row = handled::order_number.eq(order);
        insert_into(handled::table).values(row).execute(connection)
    }
}
