//! Publishing through a driver that this library does not use.

use std::slice;

use crate::error::Error;
use crate::message::headers::Headers;
use crate::message::storable::{Dispatched, Storable};
use crate::message::topic::{MessageOf, Topic};
use crate::publish::dispatcher::MessageDispatcher;
use crate::sql::publish_statement::PublishStatement;
use crate::sql::schema::TableSchema;

/// A database for which [`MessageDispatcher::statement`] writes a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Database {
    /// SQLite: an INSERT.
    #[cfg(feature = "sqlite")]
    Sqlite,
    /// PostgreSQL: a SELECT of the function of
    /// [`postgres::publish_statements`](super::postgres::publish_statements).
    #[cfg(feature = "postgres_backend")]
    Postgres,
    /// MySQL and MariaDB: a CALL of the procedure of
    /// [`mysql::publish_statements`](super::mysql::publish_statements).
    #[cfg(feature = "mysql_backend")]
    Mysql,
}

impl<T: Topic> MessageDispatcher<T> {
    /// Returns the statement that publishes a message, for any driver: sqlx, tokio-postgres,
    /// mysql_async or another one. No connection is needed.
    ///
    /// Run it once, in the transaction of the change that the message announces, or by itself.
    /// It works in every isolation level. On SQLite, begin the transaction with
    /// `BEGIN IMMEDIATE`. The decorators and the current [`Correlation`](crate::Correlation)
    /// complete the headers, as in [`dispatch`](Self::dispatch), and the same row is stored.
    ///
    /// A message whose id was published before is an error of the database, whatever
    /// [`on_duplicate`](Self::on_duplicate) is set to. MariaDB can check JSON with up to 31 levels of
    /// arrays and objects, and MySQL with up to 100. A statement whose message has more is an error
    /// of the database there. So is one with a noncharacter of Unicode, such as U+FDD0, in its topic,
    /// message type or correlation id, also on PostgreSQL.
    ///
    #[cfg_attr(feature = "sqlite", doc = "```")]
    #[cfg_attr(not(feature = "sqlite"), doc = "```ignore")]
    /// use persisting_message_bus::sql::{Database, StatementValue, TableSchema};
    /// use persisting_message_bus::{MessageDispatcher, Topic};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct OrderPlaced {
    ///     total_cents: i64,
    /// }
    ///
    /// #[derive(Topic)]
    /// #[topic(name = "orders")]
    /// enum Orders {
    ///     OrderPlaced(OrderPlaced),
    /// }
    ///
    /// let orders = MessageDispatcher::<Orders>::new();
    /// let tables = TableSchema::default();
    /// let placed = OrderPlaced { total_cents: 1_250 };
    /// let statement = orders.statement(Database::Sqlite, &tables, &placed)?;
    /// assert!(statement.sql().starts_with("INSERT INTO \"public_messages\""));
    /// assert_eq!(statement.values()[1], StatementValue::Text("orders".to_owned()));
    /// # Ok::<(), persisting_message_bus::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`dispatch`](Self::dispatch) that need no repository: the message cannot be
    /// serialised, a header is missing ([`Error::is_missing_header`]) or its name is not allowed
    /// ([`Error::is_invalid_name`]), or some repository could not keep the message.
    pub fn statement<M>(
        &self,
        database: Database,
        schema: &TableSchema,
        message: &M,
    ) -> Result<PublishStatement, Error>
    where
        M: MessageOf<T> + ?Sized,
    {
        self.statement_with(database, schema, message, Headers::new())
    }

    /// Returns the statement that publishes a message with headers of its own, which the decorators
    /// complete: see [`statement`](Self::statement).
    ///
    /// # Errors
    ///
    /// Those of [`statement`](Self::statement).
    pub fn statement_with<M>(
        &self,
        database: Database,
        schema: &TableSchema,
        message: &M,
        headers: Headers,
    ) -> Result<PublishStatement, Error>
    where
        M: MessageOf<T> + ?Sized,
    {
        let raw = self.to_raw(message, headers)?;
        Storable::check_dispatched(Dispatched::new(slice::from_ref(&raw)))?;
        let (sql, values) = match database {
            #[cfg(feature = "sqlite")]
            Database::Sqlite => crate::sql::sqlite::publish_statement::insert(schema, &raw),
            #[cfg(feature = "postgres_backend")]
            Database::Postgres => crate::sql::postgres::publish_statement::select(schema, &raw)?,
            #[cfg(feature = "mysql_backend")]
            Database::Mysql => crate::sql::mysql::publish_statement::call(schema, &raw)?,
        };
        Ok(PublishStatement {
            sql,
            values,
            message_id: raw.message_id,
        })
    }
}
