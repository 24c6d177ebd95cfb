//! SQLite: one writer at a time, so positions are assigned in the order of commits.
//!
//! - A transaction that reads first and writes later fails with `database is locked` if another
//!   connection wrote in between, regardless of the busy timeout. Dispatch inside
//!   [`immediate_transaction`](diesel::SqliteConnection::immediate_transaction), or make the first
//!   statement of the transaction a write.
//! - [`Settings`] applies the settings that several connections to one file need: WAL and a busy
//!   timeout.

mod dialect;
pub(crate) mod file;
pub(crate) mod leases;
pub(crate) mod migrations;
pub(crate) mod page_columns;
pub(crate) mod positions;
mod publish_errors;
pub(crate) mod publish_many;
pub(crate) mod publish_statement;
pub(crate) mod read_page;
pub(crate) mod row_writer;
pub(crate) mod rows;
pub(crate) mod settings;
pub(crate) mod times;
pub(crate) mod waiting;

use std::ops::ControlFlow;

use diesel::connection::LoadConnection;
use diesel::migration::MigrationConnection;
use diesel::result::QueryResult;
use diesel::sqlite::Sqlite;
use diesel_migrations::MigrationHarness;

use crate::error::Error;
use crate::message::raw::{RawMessage, StoredMessage};
use crate::position::Position;
use crate::sql::backend::{Probe, PublishBackend, StoreBackend};
use crate::sql::executor::Executor;
use crate::sql::failing::Failing;
use crate::sql::own_transactions::depth;
use crate::sql::savepoint;
use crate::sql::schema::TableSchema;
pub use crate::sql::sqlite::settings::{Durability, Settings};
use crate::store::lease::{Lease, LeaseRequest};
use crate::store::page_request::PageRequest;
use crate::store::repository::OnDuplicate;
use crate::store::slot_observations::SlotObservations;
use crate::store::transactions::TransactionMark;

impl PublishBackend for Sqlite {
    const FAILING: Failing = Failing {
        is_hidden_when_loaded: true,
        violations_are_harmless: false,
        probe_is_exact: true,
    };

    async fn begin_guarded<E: Executor<Backend = Self>>(
        executor: &mut E,
        _is_watched: bool,
    ) -> QueryResult<Option<String>> {
        executor.begin().await?;
        let open = depth(executor);
        executor.run(&savepoint::set_sql(open)).await?;
        Ok(None)
    }

    async fn probe<E: Executor<Backend = Self>>(
        executor: &mut E,
        mark: &TransactionMark,
    ) -> QueryResult<Probe> {
        savepoint::probe(executor, mark).await
    }

    async fn persist<E: Executor<Backend = Self>>(
        executor: &mut E,
        schema: &TableSchema,
        messages: &[RawMessage],
        duplicates: OnDuplicate,
    ) -> Result<usize, Error> {
        publish_many::insert(executor, schema, messages, duplicates).await
    }
}

impl<C> StoreBackend<C> for Sqlite
where
    C: LoadConnection<Backend = Sqlite> + MigrationConnection + MigrationHarness<Sqlite> + 'static,
{
    fn write<R>(
        connection: &mut C,
        is_first: bool,
        write: impl FnMut(&mut C) -> Result<R, Error>,
    ) -> Result<R, Error> {
        waiting::write(connection, is_first, write)
    }

    fn migrate(connection: &mut C) -> Result<(), Error> {
        migrations::migrate(connection)
    }

    fn high_water_mark(
        connection: &mut C,
        schema: &TableSchema,
        _topic: &str,
        _observations: &mut SlotObservations,
    ) -> Result<Position, Error> {
        positions::high_water_mark(connection, &schema.messages)
    }

    fn last_position(connection: &mut C, schema: &TableSchema) -> Result<Position, Error> {
        positions::last_position(connection, &schema.messages)
    }

    fn change_token(connection: &mut C, schema: &TableSchema) -> Result<Option<i64>, Error> {
        positions::change_token(connection, &schema.messages)
    }

    fn read_page(
        connection: &mut C,
        schema: &TableSchema,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        read_page::read_page(connection, &schema.messages, request, receive)
    }

    fn acquire(
        connection: &mut C,
        schema: &TableSchema,
        request: &LeaseRequest<'_>,
    ) -> Result<Lease, Error> {
        leases::acquire(connection, schema, request)
    }
}
