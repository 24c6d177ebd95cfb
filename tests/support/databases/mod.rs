//! Databases on which the same tests run.

pub mod asynchronous;
mod mariadb;
mod memory;
mod postgres;
mod sqlite;

use persisting_message_bus::backend::{
    MessageConsumerState, MessageInbox, MessageRepository, MessageSource, TransactionControlOn,
};

pub use self::asynchronous::{AsyncMariadb, AsyncPostgres, AsyncSqlite, PooledAsyncPostgres};
pub use self::mariadb::{Mariadb, PooledMariadb};
pub use self::memory::Memory;
pub use self::postgres::{
    OwnPostgres, PooledPostgres, Postgres, become_publisher, become_role, drop_role,
};
pub use self::sqlite::{PooledSqlite, Sqlite, connect_sqlite};

/// An empty database with the bus's tables. Dropping this deletes it.
pub trait Database: Sized + Sync {
    /// A connection, which transactional handlers can use, too.
    type Bus: MessageRepository
        + MessageSource
        + MessageConsumerState
        + MessageInbox
        + TransactionControlOn<Self::Bus>
        + Send
        + 'static;

    /// Whether a page of some types ends after so many messages of others. Reading the memory needs
    /// no bound.
    const READS_IN_STRETCHES: bool = true;

    fn create() -> Self;

    fn connect(&self) -> Self::Bus;

    /// Returns the stored slots of all messages, in the order of their positions.
    fn key_slots(&self) -> Vec<i16>;
}

/// Selects the slots of all messages.
const KEY_SLOTS: &str = "SELECT key_slot FROM public_messages ORDER BY id";

/// A database on a server, where several publishers can have open transactions at once.
pub trait Server: Database<Bus = <Self as Server>::Plain> {
    /// The plain connection.
    type Plain: MessageRepository
        + MessageSource
        + MessageConsumerState
        + MessageInbox
        + TransactionControlOn<Self::Plain>
        + diesel::Connection
        + Send
        + 'static;

    /// Returns the address, for other programs.
    fn url(&self) -> String;

    /// Connects to the database at an address.
    fn connect_to(url: &str) -> Self::Plain;

    /// Begins a transaction with an isolation level.
    fn begin_with(connection: &mut Self::Plain, isolation: &str);

    /// Returns the number of fences that publishers hold. The connection itself must hold none.
    fn fences(connection: &mut Self::Plain) -> usize;
}
