//! The code that a careful engineer writes by hand with the database's driver. It uses the same
//! rows and tables, but it does not keep readers from skipping messages that commit late.

mod mariadb;
mod message;
mod postgres;
mod sqlite;

use benchmark_rows::Failure;

pub use self::mariadb::Mariadb;
pub use self::message::{Decode, NewRow, Row};
pub use self::postgres::{Json, Postgres};
pub use self::sqlite::Sqlite;

/// A connection of the database's driver, with prepared statements.
pub trait RawDriver: Send + 'static {
    /// The ways to insert a batch.
    const BATCHES: &'static [(&'static str, PublishBatch<Self>)];

    /// Inserts a row in its own transaction.
    fn publish(&mut self, topic: &str, row: &NewRow) -> Result<(), Failure>;

    /// Reads a page, and returns its number of rows.
    fn read_page(
        &mut self,
        page: &PageQuery<'_>,
        receive: &mut dyn FnMut(Row<'_>) -> Result<(), Failure>,
    ) -> Result<usize, Failure>;

    /// Inserts a cursor at the start.
    fn add_consumer(&mut self, consumer: &str, topic: &str) -> Result<(), Failure>;

    fn store_cursor(&mut self, consumer: &str, topic: &str, cursor: i64) -> Result<(), Failure>;

    fn begin(&mut self) -> Result<(), Failure>;

    fn commit(&mut self) -> Result<(), Failure>;
}

/// A function that inserts rows of a topic in one transaction.
pub type PublishBatch<D> = fn(&mut D, &str, &[NewRow]) -> Result<(), Failure>;

pub struct PageQuery<'a> {
    pub topic: &'a str,
    /// One message type, or `None` for all types.
    pub message_type: Option<&'a str>,
    pub after: i64,
    pub limit: usize,
}
