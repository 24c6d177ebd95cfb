//! MySQL from 8.0.1 and MariaDB from 10.6: publishers hold slots, which show readers which
//! publishers are active.
//!
//! - Positions come from AUTO_INCREMENT, before the commit. A publisher's transaction holds one of
//!   64 slots of each topic that it publishes on; further publishers wait. Readers see which slots
//!   are free, and remember when they last saw each of the other slots free. A program that inserts
//!   rows by itself, and does not use this library, holds no slot, so readers skip the messages
//!   that it commits late, unless it calls the procedure of [`publish_statements`], or [`guard_foreign_inserts`](crate::sql::guard_foreign_inserts) has
//!   installed the guard.
//! - The first publisher or reader of a topic creates the topic's slots. Other first publishers
//!   wait for the end of that transaction, once in the topic's lifetime.
//! - A message can be dispatched in any isolation level. Consumers read outside of transactions, in
//!   sessions with `autocommit`. Begin transactions through Diesel, because the library does not
//!   notice other transactions.
//! - A deadlock, or a lock wait timeout, is an error that [is
//!   retryable](crate::Error::is_retryable): run the transaction again. If the application ignores
//!   the error, or the transaction has ended early in another way, the library refuses to dispatch
//!   in it. Only MariaDB can report such an end; MySQL cannot.
//! - A reader forgets its observations of the publishers' slots when the server restarts.
//! - A message that is larger than the server's `max_allowed_packet` is refused
//!   ([`is_too_large`](crate::Error::is_too_large)), and batches are split into statements that are
//!   smaller. A publisher that dispatches more than 1 MiB at once asks for the limit. Do not set
//!   the limit below 1 MiB.
//! - Publishers and readers must use one server, because a replica, or another node of a cluster,
//!   does not see the publishers' locks. Readers refuse a server that is `read_only`, a node of a
//!   Galera cluster, a member of a replication group with several primaries, and a server that
//!   applies the changes of another one. For all but the first, the application can state that all
//!   programs use one node ([`on_one_node`](crate::sql::TableSchema::on_one_node)).
//! - After `USE`, all statements of the library use the selected database. Code that is called in a
//!   transaction of the library must select the former database again. The library notices `USE`
//!   through a [`StatementWatch`](crate::sql::StatementWatch), which it installs on each connection
//!   that has no instrumentation of its own.
//!
//! A [`TableSchema`] describes tables that this library did not create. A message table needs an
//! index on topic and position, whose name is
//! [`topic_index`](crate::sql::MessageTable::topic_index). The other four tables are in the
//! migration: consumer state, failed messages, inbox, and publishers' slots.

pub(crate) mod begin;
pub(crate) mod chunks;
mod database;
mod dialect;
mod free_slots;
pub(crate) mod guard;
pub(crate) mod high_water_mark;
mod key_slot;
pub(crate) mod last;
pub(crate) mod leases;
pub(crate) mod migrations;
pub(crate) mod packet;
mod positions;
mod publish_at_once;
pub(crate) mod publish_autocommit;
mod publish_errors;
mod publish_guarded;
mod publish_locked;
pub(crate) mod publish_many;
mod publish_procedure;
pub(crate) mod publish_statement;
mod renewals;
pub(crate) mod row_writer;
pub(crate) mod rows;
pub(crate) mod server;
mod session;
mod slot_in_program;
mod slot_waits;
pub(crate) mod slots;

use std::ops::ControlFlow;
use std::time::Duration;

use diesel::connection::{DefaultLoadingMode, LoadConnection};
use diesel::migration::MigrationConnection;
use diesel::mysql::Mysql;
use diesel::result::QueryResult;
use diesel_migrations::MigrationHarness;

use crate::error::Error;
use crate::message::raw::{RawMessage, StoredMessage};
use crate::position::Position;
use crate::sql::backend::{Probe, PublishBackend, StoreBackend};
use crate::sql::executor::Executor;
use crate::sql::executor::on_sync::OnSync;
use crate::sql::failing::Failing;
use crate::sql::mysql::database::return_to_database;
pub use crate::sql::mysql::guard::guard_statements;
use crate::sql::mysql::packet::most_bytes;
use crate::sql::mysql::publish_at_once::{can_be_written_at_once, write_at_once};
use crate::sql::mysql::publish_many::Batch;
pub use crate::sql::mysql::publish_procedure::publish_statements;
use crate::sql::own_transactions::{OwnTransaction, in_own_transaction, is_in_transaction};
use crate::sql::prepared::forget_statements;
use crate::sql::savepoint;
use crate::sql::schema::TableSchema;
use crate::sql::statements::messages;
use crate::sql::statements::renewals::not_renewed;
use crate::sql::watch::connections as watch;
use crate::store::lease::{Lease, LeaseRequest};
use crate::store::page_request::PageRequest;
use crate::store::repository::OnDuplicate;
use crate::store::slot_observations::SlotObservations;
use crate::store::transactions::TransactionMark;

impl PublishBackend for Mysql {
    const FAILING: Failing = Failing {
        is_hidden_when_loaded: false,
        violations_are_harmless: true,
        probe_is_exact: true,
    };

    fn follow_database<E: Executor<Backend = Self>>(executor: &mut E) {
        database::follow_database(executor);
    }

    async fn begin_guarded<E: Executor<Backend = Self>>(
        executor: &mut E,
        _is_watched: bool,
    ) -> QueryResult<Option<String>> {
        begin::begin_guarded(executor).await?;
        Ok(None)
    }

    async fn probe<E: Executor<Backend = Self>>(
        executor: &mut E,
        mark: &TransactionMark,
    ) -> QueryResult<Probe> {
        let probe = savepoint::probe(executor, mark).await?;
        // Without a watch, this would cost each message another round trip.
        let is_watched = watch::noticed(executor).is_some();
        if is_watched && probe == Probe::Open && return_to_database(executor, mark.open).await? {
            return Ok(Probe::Moved);
        }
        Ok(probe)
    }

    async fn persist<E: Executor<Backend = Self>>(
        executor: &mut E,
        schema: &TableSchema,
        messages: &[RawMessage],
        duplicates: OnDuplicate,
    ) -> Result<usize, Error> {
        let batch = Batch {
            messages,
            duplicates,
            most_bytes: most_bytes(executor, schema, messages).await?,
            is_in_transaction: is_in_transaction(executor),
        };
        if schema.has_foreign_inserts {
            return publish_guarded::persist(executor, schema, batch).await;
        }
        if batch.is_in_transaction {
            return publish_locked::write(executor, schema, batch).await;
        }
        if can_be_written_at_once(batch)
            && let Some(persisted) = write_at_once(executor, schema, messages, duplicates).await
        {
            return persisted;
        }
        let transaction = OwnTransaction::begin(executor).await?;
        let written = publish_locked::write(transaction.executor, schema, batch).await;
        transaction.end(written).await
    }
}

impl<C> StoreBackend<C> for Mysql
where
    C: LoadConnection<Backend = Mysql> + MigrationConnection + MigrationHarness<Mysql> + 'static,
{
    fn migrate(connection: &mut C) -> Result<(), Error> {
        migrations::migrate(connection)
    }

    fn guard(connection: &mut C, schema: &TableSchema) -> Result<(), Error> {
        guard::guard(connection, schema)
    }

    fn unguard(connection: &mut C, schema: &TableSchema) -> Result<(), Error> {
        guard::unguard(connection, schema)
    }

    fn high_water_mark(
        connection: &mut C,
        schema: &TableSchema,
        topic: &str,
        observations: &mut SlotObservations,
    ) -> Result<Position, Error> {
        high_water_mark::high_water_mark(connection, schema, topic, observations)
    }

    fn last_position(connection: &mut C, schema: &TableSchema) -> Result<Position, Error> {
        positions::last_position(connection, &schema.messages)
    }

    fn read_page(
        connection: &mut C,
        schema: &TableSchema,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let table = &schema.messages;
        let read =
            messages::read_page::<DefaultLoadingMode, _>(connection, table, request, receive);
        if read.is_err() {
            // Loading may have failed: see FAILED_LOADS_BREAK_STATEMENTS.
            forget_statements(connection);
        }
        read
    }

    fn acquire(
        connection: &mut C,
        schema: &TableSchema,
        request: &LeaseRequest<'_>,
    ) -> Result<Lease, Error> {
        leases::acquire(connection, schema, request)
    }

    fn renew(
        connection: &mut C,
        schema: &TableSchema,
        lease: &Lease,
        duration: Duration,
    ) -> Result<(), Error> {
        let renew = |connection: &mut C| renewals::renew(connection, schema, lease, duration);
        let is_renewed = if is_in_transaction(&mut OnSync(connection)) {
            renew(connection)?
        } else {
            // A session with autocommit = 0 would not commit, and would keep the row locked.
            in_own_transaction(connection, renew)?
        };
        if is_renewed {
            return Ok(());
        }
        // In a transaction that is serializable, reading the row would wait for its lock.
        Err(not_renewed(
            connection,
            schema,
            lease,
            renewals::FIND_SESSION,
        )?)
    }
}
