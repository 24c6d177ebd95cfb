//! What a careful engineer writes by hand with the database's driver: the same rows, the same tables,
//! and nothing that makes sure that no reader passes over a message that is committed late.

mod mariadb;
mod message;
mod postgres;
mod sqlite;

use benchmark_rows::Failure;

pub use self::mariadb::Mariadb;
pub use self::message::{Decode, NewRow, Row};
pub use self::postgres::Postgres;
pub use self::sqlite::Sqlite;

/// A connection by the database's driver, with its statements prepared.
pub trait RawDriver: Send + 'static {
    /// How a batch can be written.
    const BATCHES: &'static [(&'static str, PublishBatch<Self>)];

    /// Inserts a row in a transaction of its own.
    fn publish(&mut self, topic: &str, row: &NewRow) -> Result<(), Failure>;

    /// Reads a page, and returns how many rows that were.
    fn read_page(
        &mut self,
        page: &PageQuery<'_>,
        receive: &mut dyn FnMut(Row<'_>) -> Result<(), Failure>,
    ) -> Result<usize, Failure>;

    /// Inserts a cursor before all messages.
    fn add_consumer(&mut self, consumer: &str, topic: &str) -> Result<(), Failure>;

    fn store_cursor(&mut self, consumer: &str, topic: &str, cursor: i64) -> Result<(), Failure>;

    fn begin(&mut self) -> Result<(), Failure>;

    fn commit(&mut self) -> Result<(), Failure>;
}

/// Inserts rows of a topic in one transaction.
pub type PublishBatch<D> = fn(&mut D, &str, &[NewRow]) -> Result<(), Failure>;

pub struct PageQuery<'a> {
    pub topic: &'a str,
    /// Of one type, or of all.
    pub message_type: Option<&'a str>,
    pub after: i64,
    pub limit: usize,
}
