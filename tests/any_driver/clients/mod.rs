//! Clients that publish through drivers which this library does not use.

mod script;
mod sqlx;
mod tokio_postgres;

use persisting_message_bus::MessageDispatcher;
use persisting_message_bus::sql::{Database, PublishStatement, TableSchema};
use persisting_message_bus_tests::topics::{OrderPlaced, Orders};

pub use self::script::Script;
pub use self::sqlx::{SqlxMysql, SqlxPostgres, SqlxSqlite};
pub use self::tokio_postgres::TokioPostgres;

/// A connection that commits by itself. An error is the database's text.
pub trait Client: Send {
    fn name(&self) -> &str;

    fn execute(&mut self, sql: &str) -> Result<(), String>;

    /// Publishes an order.
    fn publish(&mut self, order: u64) -> Result<(), String>;

    /// Runs a statement of a dispatcher. Scripts cannot.
    fn run(&mut self, statement: &PublishStatement) -> Result<(), String>;
}

fn statement_of(database: Database, order: u64) -> PublishStatement {
    MessageDispatcher::<Orders>::new()
        .statement(
            database,
            &TableSchema::default(),
            &OrderPlaced::number(order),
        )
        .unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap()
}
