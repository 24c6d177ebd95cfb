//! SQLite: one writer at a time, so that positions are handed out in the order of commits.
//!
//! - A transaction that reads first and writes later fails with `database is locked` when another
//!   writer came between, whatever the busy timeout: dispatch inside
//!   [`immediate_transaction`](diesel::SqliteConnection::immediate_transaction), or let the first
//!   statement of the transaction be a write.
//! - [`Settings`] sets what several connections to one file need: WAL and a busy timeout.

mod consumer_state;
mod insert;
mod insert_messages;
mod migrations;
mod page;
mod repository;
mod rows;
mod settings;
mod times;
mod written;

use std::ops::ControlFlow;

use diesel::connection::{LoadConnection, TransactionManager};
use diesel::migration::MigrationConnection;
use diesel::result::QueryResult;
use diesel::sqlite::Sqlite;
use diesel_migrations::MigrationHarness;

pub use self::settings::{Durability, Settings};
use super::backend::{Failing, Probe};
use super::transactions::open_transactions;
use super::{StoreBackend, TableSchema, savepoint};
use crate::{
    Duplicates, Error, Lease, LeaseRequest, PageRequest, Position, RawMessage, Sightings,
    StoredMessage, TransactionMark,
};

impl<C> StoreBackend<C> for Sqlite
where
    C: LoadConnection<Backend = Sqlite> + MigrationConnection + MigrationHarness<Sqlite>,
{
    const FAILING: Failing = Failing {
        is_hidden_when_loaded: true,
        violations_are_harmless: false,
        probe_is_exact: true,
    };

    fn begin_guarded(connection: &mut C, _is_watched: bool) -> QueryResult<Option<String>> {
        C::TransactionManager::begin_transaction(connection)?;
        let open = open_transactions(connection);
        connection.batch_execute(&savepoint::set_sql(open))?;
        Ok(None)
    }

    fn probe(connection: &mut C, mark: &TransactionMark) -> QueryResult<Probe> {
        savepoint::probe(connection, mark)
    }

    fn migrate(connection: &mut C) -> Result<(), Error> {
        migrations::migrate(connection)
    }

    fn horizon(
        connection: &mut C,
        schema: &TableSchema,
        _topic: &str,
        _sightings: &mut Sightings,
    ) -> Result<Position, Error> {
        repository::last_position(connection, &schema.messages)
    }

    fn last_position(connection: &mut C, schema: &TableSchema) -> Result<Position, Error> {
        repository::last_position(connection, &schema.messages)
    }

    fn changes(connection: &mut C, schema: &TableSchema) -> Result<Option<i64>, Error> {
        repository::changes(connection, &schema.messages)
    }

    fn read_page(
        connection: &mut C,
        schema: &TableSchema,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        page::read_page(connection, &schema.messages, request, receive)
    }

    fn persist(
        connection: &mut C,
        schema: &TableSchema,
        messages: &[RawMessage],
        duplicates: Duplicates,
    ) -> Result<usize, Error> {
        repository::persist(connection, &schema.messages, messages, duplicates)
    }

    fn acquire(
        connection: &mut C,
        schema: &TableSchema,
        request: &LeaseRequest<'_>,
    ) -> Result<Lease, Error> {
        consumer_state::acquire(connection, schema, request)
    }
}
