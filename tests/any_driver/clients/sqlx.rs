//! Publishing through sqlx.

use persisting_message_bus::sql::{Database, PublishStatement, StatementValue};
use sqlx::{AssertSqlSafe, Connection};
use tokio::runtime::Runtime;

use super::{Client, runtime, statement_of};

macro_rules! sqlx_clients {
    ($($client:ident, $name:literal: $connection:ident, $database:ident;)*) => {$(
        pub struct $client {
            runtime: Runtime,
            connection: sqlx::$connection,
        }

        impl $client {
            pub fn connect(url: &str) -> Self {
                let runtime = runtime();
                let connection = runtime.block_on(sqlx::$connection::connect(url)).unwrap();
                Self { runtime, connection }
            }
        }

        impl Client for $client {
            fn name(&self) -> &str {
                $name
            }

            fn execute(&mut self, sql: &str) -> Result<(), String> {
                let query = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
                let done = self.runtime.block_on(query.execute(&mut self.connection));
                done.map(drop).map_err(|error| error.to_string())
            }

            fn publish(&mut self, order: u64) -> Result<(), String> {
                self.run(&statement_of(Database::$database, order))
            }

            fn run(&mut self, statement: &PublishStatement) -> Result<(), String> {
                let mut query = sqlx::query(AssertSqlSafe(statement.sql()));
                for value in statement.values() {
                    query = match value {
                        StatementValue::Text(text) => query.bind(text),
                        StatementValue::Integer(integer) => query.bind(integer),
                        StatementValue::Null => query.bind(None::<&str>),
                    };
                }
                let done = self.runtime.block_on(query.execute(&mut self.connection));
                done.map(drop).map_err(|error| error.to_string())
            }
        }
    )*};
}

sqlx_clients! {
    SqlxPostgres, "sqlx on PostgreSQL": PgConnection, Postgres;
    SqlxMysql, "sqlx on MariaDB": MySqlConnection, Mysql;
    SqlxSqlite, "sqlx on SQLite": SqliteConnection, Sqlite;
}
