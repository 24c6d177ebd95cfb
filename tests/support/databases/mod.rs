//! Databases to run the same tests on.

mod memory;
mod postgres;
mod sqlite;

use persisting_message_bus::{MessageConsumerState, MessageRepository, TransactionsOn};

pub use self::memory::Memory;
pub use self::postgres::{PooledPostgres, Postgres};
pub use self::sqlite::{PooledSqlite, Sqlite, connect_sqlite};

/// An empty database with the bus's tables, which goes away when it is dropped.
pub trait Database: Sized + Sync {
    /// A connection to it, on which transactional handlers work too.
    type Bus: MessageRepository + MessageConsumerState + TransactionsOn<Self::Bus> + Send + 'static;

    fn create() -> Self;

    fn connect(&self) -> Self::Bus;
}
