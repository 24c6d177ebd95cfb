//! Databases that keep what is committed when the power goes.

mod mariadb;
mod postgres;
mod sqlite;

use diesel::connection::LoadConnection;
use persisting_message_bus::{MessageConsumerState, MessageRepository, TransactionsOn};

pub use self::mariadb::Mariadb;
pub use self::postgres::Postgres;
pub use self::sqlite::Sqlite;

use crate::Failure;
use crate::raw::RawDriver;

/// A server, or what stands for one.
pub trait Backend: Sync {
    /// The library's way to it.
    type Connection: LoadConnection
        + MessageRepository
        + MessageConsumerState
        + TransactionsOn<Self::Connection>
        + Send
        + 'static;

    /// The way of its driver.
    type Raw: RawDriver;

    fn name(&self) -> &'static str;

    /// More publishers only wait for each other.
    const MOST_PUBLISHERS: usize;

    /// Makes a database with the bus's tables, and returns its address.
    fn create(&self, name: &str) -> Result<String, Failure>;

    fn remove(&self, url: &str) -> Result<(), Failure>;

    fn connect(&self, url: &str) -> Result<Self::Connection, Failure>;

    fn connect_raw(&self, url: &str) -> Result<Self::Raw, Failure>;

    /// Does what the database would do some time after many rows were inserted.
    fn settle(&self, url: &str) -> Result<(), Failure>;
}

/// A database that goes away when it is dropped.
pub struct Database<'a, B: Backend> {
    pub backend: &'a B,
    pub url: String,
}

impl<'a, B: Backend> Database<'a, B> {
    pub fn create(backend: &'a B, name: &str) -> Result<Self, Failure> {
        let url = backend.create(name)?;
        Ok(Self { backend, url })
    }

    pub fn connect(&self) -> Result<B::Connection, Failure> {
        self.backend.connect(&self.url)
    }

    pub fn connect_raw(&self) -> Result<B::Raw, Failure> {
        self.backend.connect_raw(&self.url)
    }
}

impl<B: Backend> Drop for Database<'_, B> {
    fn drop(&mut self) {
        // It goes with its server at the latest.
        let _left_behind = self.backend.remove(&self.url);
    }
}
