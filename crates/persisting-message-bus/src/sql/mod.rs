//! Messages and consumer state in SQL, through Diesel.
//!
//! A connection *is* a repository and a consumer state: pass `&mut PgConnection`, or a pooled
//! connection, wherever a [`MessageRepository`](crate::backend::MessageRepository) or a
//! [`MessageConsumerState`](crate::backend::MessageConsumerState) is expected. A [`TableSchema`]
//! describes tables with other names; [`TableSchema::bind`] joins it with the connection.

pub(crate) mod any_driver;
pub(crate) mod backend;
#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
pub(crate) mod chunks;
pub(crate) mod columns;
pub(crate) mod consumer_state;
pub(crate) mod dialect;
pub(crate) mod error;
pub(crate) mod executor;
pub(crate) mod failing;
pub(crate) mod failures;
#[cfg(any(feature = "postgres_backend", feature = "mysql_backend"))]
mod fill;
pub(crate) mod guard;
#[cfg(any(feature = "postgres_backend", feature = "mysql_backend"))]
pub(crate) mod hash;
pub(crate) mod inbox;
pub(crate) mod migrations;
pub(crate) mod missing;
#[cfg(feature = "mysql_backend")]
pub mod mysql;
pub(crate) mod own_transactions;
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) mod plain;
#[cfg(feature = "r2d2")]
mod pool;
#[cfg(feature = "postgres_backend")]
pub mod postgres;
pub(crate) mod prepared;
#[cfg(any(feature = "postgres_backend", feature = "mysql_backend"))]
mod publish_call;
pub(crate) mod publish_errors;
pub(crate) mod publish_statement;
pub(crate) mod repository;
mod row_writer;
pub(crate) mod rows;
#[cfg(any(
    feature = "sqlite",
    feature = "postgres_backend",
    feature = "mysql_backend"
))]
pub(crate) mod savepoint;
pub(crate) mod schema;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub(crate) mod statements;
mod stretches;
mod table_names;
pub(crate) mod tables;
pub(crate) mod transactions;
pub(crate) mod watch;

/// Used by the tool that writes the tables of the databases' error texts (`texts.txt`).
#[doc(hidden)]
pub use crate::classify::fingerprint::fingerprint_of;
pub use crate::sql::any_driver::Database;
pub use crate::sql::backend::{Probe, PublishBackend, StoreBackend};
pub use crate::sql::guard::{guard_foreign_inserts, unguard_foreign_inserts};
pub use crate::sql::migrations::migrate;
#[cfg(any(feature = "postgres_backend", feature = "mysql_backend"))]
pub use crate::sql::publish_call::publish_name;
pub use crate::sql::publish_statement::{PublishStatement, StatementValue};
pub use crate::sql::schema::{
    ConsumerStateTable, FailureTable, InboxTable, MessageTable, PublisherSlotsTable, SegmentTable,
    TableSchema, WithTables,
};
pub use crate::sql::watch::StatementWatch;
