//! Publishing through tokio-postgres.

use persisting_message_bus::sql::{Database, PublishStatement, StatementValue};
use tokio::runtime::Runtime;
use tokio_postgres::NoTls;
use tokio_postgres::types::ToSql;

use super::{Client, runtime, statement_of};

pub struct TokioPostgres {
    runtime: Runtime,
    client: tokio_postgres::Client,
}

impl TokioPostgres {
    pub fn connect(url: &str) -> Self {
        let runtime = runtime();
        let (client, connection) = runtime
            .block_on(tokio_postgres::connect(url, NoTls))
            .unwrap();
        runtime.spawn(connection);
        Self { runtime, client }
    }
}

impl Client for TokioPostgres {
    fn name(&self) -> &str {
        "tokio-postgres"
    }

    fn execute(&mut self, sql: &str) -> Result<(), String> {
        let done = self.runtime.block_on(self.client.batch_execute(sql));
        done.map_err(text_of)
    }

    fn publish(&mut self, order: u64) -> Result<(), String> {
        self.run(&statement_of(Database::Postgres, order))
    }

    fn run(&mut self, statement: &PublishStatement) -> Result<(), String> {
        let values: Vec<&(dyn ToSql + Sync)> = statement
            .values()
            .iter()
            .map(|value| match value {
                StatementValue::Text(text) => text as &(dyn ToSql + Sync),
                StatementValue::Integer(integer) => integer,
                StatementValue::Null => &None::<&str>,
            })
            .collect();
        let done = self
            .runtime
            .block_on(self.client.execute(statement.sql(), &values));
        done.map(drop).map_err(text_of)
    }
}

/// The error's own text does not have that of the server.
fn text_of(error: tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => error.to_string(),
        None => error.to_string(),
    }
}
