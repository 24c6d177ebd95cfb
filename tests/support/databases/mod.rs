//! Databases to run the same tests on.

mod mariadb;
mod memory;
mod postgres;
mod sqlite;

use persisting_message_bus::{
    MessageConsumerState, MessageInbox, MessageRepository, TransactionsOn,
};

pub use self::mariadb::{Mariadb, PooledMariadb};
pub use self::memory::Memory;
pub use self::postgres::{PooledPostgres, Postgres};
pub use self::sqlite::{PooledSqlite, Sqlite, connect_sqlite};

/// An empty database with the bus's tables, which goes away when it is dropped.
pub trait Database: Sized + Sync {
    /// A connection to it, on which transactional handlers work too.
    type Bus: MessageRepository
        + MessageConsumerState
        + MessageInbox
        + TransactionsOn<Self::Bus>
        + Send
        + 'static;

    fn create() -> Self;

    fn connect(&self) -> Self::Bus;
}

/// A database on a server, where transactions of several publishers can be open at once.
pub trait Server: Database<Bus = <Self as Server>::Plain> {
    /// Its plain connection.
    type Plain: MessageRepository
        + MessageConsumerState
        + MessageInbox
        + TransactionsOn<Self::Plain>
        + diesel::Connection
        + Send
        + 'static;

    /// Its address, for other programs.
    fn url(&self) -> String;

    /// A connection to the database at an address.
    fn connect_to(url: &str) -> Self::Plain;

    /// Begins a transaction of an isolation level.
    fn begin_with(connection: &mut Self::Plain, isolation: &str);

    /// How many fences publishers hold, as somebody sees it who holds none himself.
    fn fences(connection: &mut Self::Plain) -> usize;
}
