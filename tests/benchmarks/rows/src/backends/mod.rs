//! Databases whose commits survive a power failure if their servers are configured for that.

mod mariadb;
mod postgres;
mod sqlite;

use diesel::QueryResult;
use diesel::connection::LoadConnection;
use persisting_message_bus::backend::{
    MessageConsumerState, MessageRepository, MessageSource, TransactionControlOn,
};

pub use self::mariadb::Mariadb;
pub use self::postgres::Postgres;
pub use self::sqlite::{BUSY_TIMEOUT, Sqlite};

use crate::Failure;

/// A server, or a folder of files that replaces one.
pub trait Backend: Sync {
    const NAME: &'static str;

    /// The number of rows that a handler inserts one by one in a few hundred milliseconds. On a
    /// server, this is the number of round trips in that time.
    const INSERTS: u64 = 5_000;

    /// The connection type that the library uses.
    type Connection: LoadConnection
        + MessageRepository
        + MessageSource
        + MessageConsumerState
        + TransactionControlOn<Self::Connection>
        + Send
        + 'static;

    /// Creates a database with the bus's tables, and returns its address.
    fn create(&self, name: &str) -> Result<String, Failure>;

    fn remove(&self, url: &str) -> Result<(), Failure>;

    fn connect(url: &str) -> Result<Self::Connection, Failure>;

    /// Does the maintenance that the database would do some time after many inserts.
    fn settle(url: &str) -> Result<(), Failure>;

    /// Inserts a row into the table `handled` with a statement that stays prepared.
    fn insert_handled(connection: &mut Self::Connection, order: i64) -> QueryResult<usize>;
}

diesel::table! {
    handled (order_number) {
        order_number -> BigInt,
    }
}

/// A database. Dropping this removes it.
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
        // The database disappears with its server at the latest.
        let _not_removed = self.backend.remove(&self.url);
    }
}
