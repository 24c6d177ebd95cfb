//! PostgreSQL: publishers hold a fence, so that readers see what can still be committed.
//!
//! - Positions come from a sequence, before the commit. A publisher's transaction holds one shared
//!   advisory lock for each topic that it publishes on; readers stay below the lowest of them. Who
//!   inserts rows without this library takes no lock, and its late commits are skipped.
//! - A message is dispatched in any isolation level. Consumers read outside of the application's
//!   transactions, or in READ COMMITTED ones: another level does not see what others commit.
//! - Reading needs the primary: a standby does not see the publishers' locks.
//! - The tables are found through the `search_path`. `pgbouncer` may pool transactions.

mod fence;
mod insert;
mod migrations;
mod repository;
mod rows;

use std::ops::ControlFlow;

use diesel::connection::LoadConnection;
use diesel::migration::MigrationConnection;
use diesel::pg::Pg;
use diesel_migrations::MigrationHarness;

use super::{StoreBackend, TableSchema, leases, messages};
use crate::{
    ConsumerStatus, Duplicates, Error, Lease, LeaseRequest, PageRequest, Position, RawMessage,
    Sightings, StoreCursor, StoredMessage,
};

impl<C> StoreBackend<C> for Pg
where
    C: LoadConnection<Backend = Pg> + MigrationConnection + MigrationHarness<Pg>,
{
    fn migrate(connection: &mut C) -> Result<(), Error> {
        migrations::migrate(connection)
    }

    fn horizon(
        connection: &mut C,
        schema: &TableSchema,
        topic: &str,
        _sightings: &mut Sightings,
    ) -> Result<Position, Error> {
        fence::horizon(connection, &schema.messages, topic)
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
