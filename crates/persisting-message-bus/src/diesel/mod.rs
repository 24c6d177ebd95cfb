//! Messages and consumer state in SQL, through Diesel.
//!
//! A connection *is* a repository and a consumer state: `&mut PgConnection`, or a pooled one,
//! is handed in wherever a [`MessageRepository`](crate::MessageRepository) or a
//! [`MessageConsumerState`](crate::MessageConsumerState) is asked for. Tables with other names are
//! described by a [`TableSchema`], which joins the connection by [`TableSchema::on`].

mod backend;
mod class;
mod columns;
mod consumer_state;
mod duplicates;
mod error;
mod failed_messages;
mod failures;
mod fingerprint;
mod flows;
mod inbox;
mod leases;
mod messages;
mod migrations;
#[cfg(feature = "mysql")]
pub mod mysql;
mod oversized;
#[cfg(any(feature = "sqlite", feature = "mysql"))]
mod parts;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod plain;
#[cfg(feature = "postgres")]
pub mod postgres;
mod repository;
mod rows;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
mod savepoint;
mod schema;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod statement;
mod texts;
mod transactions;
mod watch;

pub(crate) use self::class::class_of_one;

pub use self::backend::{Probe, StoreBackend};
/// For the tool that writes the tables of what databases say.
#[doc(hidden)]
pub use self::fingerprint::fingerprint_of;
pub use self::migrations::migrate;
pub use self::schema::{
    ConsumerStateTable, FailureTable, InboxTable, MessageTable, OnTables, PublisherSlotsTable,
    TableSchema,
};
pub use self::watch::StatementWatch;
