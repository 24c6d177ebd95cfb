//! MySQL from 8.0.1 and MariaDB from 10.6: publishers hold a slot, so that readers see who is at
//! work.
//!
//! - Positions come from AUTO_INCREMENT, before the commit. A publisher's transaction holds one of 64
//!   slots of each topic that it publishes on; more of them wait. Readers see which slots are free,
//!   and remember when they saw the others free. Who inserts rows without this library holds no slot,
//!   and its late commits are skipped.
//! - Whoever dispatches or reads on a topic first creates its slots; other first publishers wait for
//!   the end of that transaction, once in a topic's life.
//! - A message is dispatched in any isolation level. Consumers read outside of transactions, in
//!   sessions with `autocommit`. Begin transactions through Diesel: others are not noticed.
//! - A deadlock, or waiting too long for a lock, is an error that [is
//!   retryable](crate::Error::is_retryable): make the transaction again. Where the application ignores it, or
//!   the transaction has ended before its time in another way, dispatching in it is refused; MySQL does not
//!   tell, MariaDB does.
//! - What a reader remembers of publishers is forgotten when the server starts again.
//! - A message that is larger than the server's `max_allowed_packet` is refused
//!   ([`is_too_large`](crate::Error::is_too_large)), and batches are split into statements that are smaller.
//!   Whoever dispatches more than 1 MiB at once asks for the limit; a limit below that should not be set.
//! - Publishers and readers have to be on one server: a replica, or another node of a cluster, does
//!   not see the publishers' locks. A server that is `read_only` is refused;
//!   others that are replicas are not noticed.
//!
//! Tables that others made are described by a [`TableSchema`]: a message table needs an index on topic
//! and position, whose name is [`topic_index`](crate::diesel::MessageTable::topic_index). The other
//! two tables are in the migration.

mod begin;
mod consumer_state;
mod horizon;
mod insert;
mod insert_messages;
mod last;
mod migrations;
mod packet;
mod parts;
mod repository;
mod rows;
mod server;
mod single;
mod slots;

use std::ops::ControlFlow;

use diesel::connection::{DefaultLoadingMode, LoadConnection};
use diesel::migration::MigrationConnection;
use diesel::mysql::Mysql;
use diesel::result::QueryResult;
use diesel_migrations::MigrationHarness;

use super::backend::{Failing, Probe};
use super::{StoreBackend, TableSchema, messages, savepoint};
use crate::{
    Duplicates, Error, Lease, LeaseRequest, PageRequest, Position, RawMessage, Sightings,
    StoredMessage, TransactionMark,
};

impl<C> StoreBackend<C> for Mysql
where
    C: LoadConnection<Backend = Mysql> + MigrationConnection + MigrationHarness<Mysql> + 'static,
{
    const FAILING: Failing = Failing {
        is_hidden_when_loaded: false,
        violations_are_harmless: true,
        probe_is_exact: true,
    };

    fn begin_guarded(connection: &mut C, _is_watched: bool) -> QueryResult<Option<String>> {
        begin::begin_guarded(connection)?;
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
        topic: &str,
        sightings: &mut Sightings,
    ) -> Result<Position, Error> {
        horizon::horizon(connection, schema, topic, sightings)
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
        messages::read_page::<DefaultLoadingMode, _>(connection, &schema.messages, request, receive)
    }

    fn persist(
        connection: &mut C,
        schema: &TableSchema,
        messages: &[RawMessage],
        duplicates: Duplicates,
    ) -> Result<usize, Error> {
        repository::persist(connection, schema, messages, duplicates)
    }

    fn acquire(
        connection: &mut C,
        schema: &TableSchema,
        request: &LeaseRequest<'_>,
    ) -> Result<Lease, Error> {
        consumer_state::acquire(connection, schema, request)
    }
}
