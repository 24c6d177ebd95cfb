//! SQLite: one writer at a time, so that positions are handed out in the order of commits.
//!
//! - A transaction that reads first and writes later fails with `database is locked` when another
//!   writer came between, whatever the busy timeout: dispatch inside
//!   [`immediate_transaction`](diesel::SqliteConnection::immediate_transaction), or let the first
//!   statement of the transaction be a write.
//! - [`Settings`] sets what several connections to one file need: WAL and a busy timeout.

mod insert;
mod migrations;
mod repository;
mod rows;
mod settings;

use std::ops::ControlFlow;

use diesel::connection::LoadConnection;
use diesel::migration::MigrationConnection;
use diesel::sqlite::Sqlite;
use diesel_migrations::MigrationHarness;

pub use self::settings::{Durability, Settings};
use super::{StoreBackend, TableSchema, leases, messages};
use crate::{
    ConsumerStatus, Duplicates, Error, Lease, LeaseRequest, PageRequest, Position, RawMessage,
    Sightings, StoreCursor, StoredMessage,
};

impl<C> StoreBackend<C> for Sqlite
where
    C: LoadConnection<Backend = Sqlite> + MigrationConnection + MigrationHarness<Sqlite>,
{
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

    fn head(
        connection: &mut C,
        schema: &TableSchema,
        topic: &str,
        horizon: Position,
    ) -> Result<Position, Error> {
        messages::head(connection, &schema.messages, topic, horizon)
    }

    fn last_position(connection: &mut C, schema: &TableSchema) -> Result<Position, Error> {
        repository::last_position(connection, &schema.messages)
    }

    fn read_page(
        connection: &mut C,
        schema: &TableSchema,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        messages::read_page(connection, &schema.messages, request, receive)
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
        leases::acquire(connection, &schema.consumer_state, request)
    }

    fn store_cursor(
        connection: &mut C,
        schema: &TableSchema,
        lease: &Lease,
        store: &StoreCursor,
    ) -> Result<(), Error> {
        leases::store_cursor(connection, &schema.consumer_state, lease, store)
    }

    fn release(connection: &mut C, schema: &TableSchema, lease: &Lease) -> Result<(), Error> {
        leases::release(connection, &schema.consumer_state, lease)
    }

    fn consumer_status(
        connection: &mut C,
        schema: &TableSchema,
        consumer: &str,
        topic: &str,
    ) -> Result<Option<ConsumerStatus>, Error> {
        leases::status(connection, &schema.consumer_state, consumer, topic)
    }
}
