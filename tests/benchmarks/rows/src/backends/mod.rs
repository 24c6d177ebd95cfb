//! Databases that keep what is committed when the power goes, if their servers were started so.

mod mariadb;
mod postgres;
mod sqlite;

use diesel::QueryResult;
use diesel::connection::LoadConnection;
use persisting_message_bus::{MessageConsumerState, MessageRepository, TransactionsOn};

pub use self::mariadb::Mariadb;
pub use self::postgres::Postgres;
pub use self::sqlite::{BUSY_TIMEOUT, Sqlite};

use crate::Failure;

/// A server, or what stands for one.
pub trait Backend: Sync {
    const NAME: &'static str;

    /// How many rows a handler inserts one by one in some tenths of a second: as many as there are round
    /// trips to a server in that time.
    const INSERTS: u64 = 5_000;

    /// The library's way to it.
    type Connection: LoadConnection
        + MessageRepository
        + MessageConsumerState
        + TransactionsOn<Self::Connection>
        + Send
        + 'static;

    /// Makes a database with the bus's tables, and returns its address.
    fn create(&self, name: &str) -> Result<String, Failure>;

    fn remove(&self, url: &str) -> Result<(), Failure>;

    fn connect(url: &str) -> Result<Self::Connection, Failure>;

    /// Does what the database would do some time after many rows were inserted.
    fn settle(url: &str) -> Result<(), Failure>;

    /// Inserts a row into the table `handled`, by a statement that stays prepared.
    fn insert_handled(connection: &mut Self::Connection, order: i64) -> QueryResult<usize>;
}

diesel::table! {
    handled (order_number) {
        order_number -> BigInt,
    }
}

/// A database that goes away when it is dropped.
pub struct Database<'a, B: Backend> {
    pub url: String,
    backend: &'a B,
}

impl<'a, B: Backend> Database<'a, B> {
    pub fn create(backend: &'a B, name: &str) -> Result<Self, Failure> {
        let url = backend.create(name)?;
        Ok(Self { url, backend })
    }

    pub fn connect(&self) -> Result<B::Connection, Failure> {
        B::connect(&self.url)
    }
}

impl<B: Backend> Drop for Database<'_, B> {
    fn drop(&mut self) {
        // It goes with its server at the latest.
        let _left_behind = self.backend.remove(&self.url);
    }
}
