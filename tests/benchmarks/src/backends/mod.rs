//! Databases that keep what is committed when the power goes.

mod mariadb;
mod postgres;
mod sqlite;

use diesel::connection::LoadConnection;
use persisting_message_bus::{MessageConsumerState, MessageRepository, Nudge, TransactionsOn};

pub use self::mariadb::Mariadb;
pub use self::postgres::Postgres;
pub use self::sqlite::Sqlite;

use crate::Failure;
use crate::raw::RawDriver;

/// A server, or what stands for one.
pub trait Backend: Sync {
    const NAME: &'static str;

    /// More publishers only wait for each other.
    const MOST_PUBLISHERS: usize;

    /// How many publishers by hand those that share commits are compared with, and what these do.
    const PLAIN_PUBLISHERS: usize = 16;
    const PLAIN: &'static str = "16 connections, autocommit";

    /// The library's way to it.
    type Connection: LoadConnection
        + MessageRepository
        + MessageConsumerState
        + TransactionsOn<Self::Connection>
        + Send
        + 'static;

    /// The way of its driver.
    type Raw: RawDriver;

    /// Makes a database with the bus's tables, and returns its address.
    fn create(&self, name: &str) -> Result<String, Failure>;

    fn remove(&self, url: &str) -> Result<(), Failure>;

    fn connect(url: &str) -> Result<Self::Connection, Failure>;

    fn connect_raw(url: &str) -> Result<Self::Raw, Failure>;

    /// Whether publishers can wake consumers in other processes.
    const NOTIFIES: bool = false;

    /// Wakes those that have this nudge, each time it is called. Only where that is possible.
    fn notification(_url: &str, nudge: Nudge) -> Box<dyn Fn()> {
        Box::new(move || nudge.nudge())
    }

    /// Does what the database would do some time after many rows were inserted.
    fn settle(url: &str) -> Result<(), Failure>;
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

    pub fn connect_raw(&self) -> Result<B::Raw, Failure> {
        B::connect_raw(&self.url)
    }
}

impl<B: Backend> Drop for Database<'_, B> {
    fn drop(&mut self) {
        // It goes with its server at the latest.
        let _left_behind = self.backend.remove(&self.url);
    }
}
