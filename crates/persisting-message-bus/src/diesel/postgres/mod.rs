//! PostgreSQL: publishers hold a fence, so that readers see what can still be committed.
//!
//! - Positions come from a sequence, before the commit. A publisher's transaction holds one shared
//!   advisory lock for each topic that it publishes on; readers stay below the lowest of them. Who
//!   inserts rows without this library takes no lock, and its late commits are skipped.
//! - A message is dispatched in any isolation level. Consumers read in sessions whose transactions are
//!   READ COMMITTED: another level does not see what others commit.
//! - Reading needs the primary: a standby does not see the publishers' locks.
//! - Large batches are copied on Diesel's own connections, plain and pooled. Connections of other types own
//!   what they need (`'static`), and insert.
//! - Begin transactions through Diesel: in others, a duplicate that is the first to write ends them.
//! - The tables are found through the `search_path`. The roles need USAGE on the sequence of the
//!   positions.

mod consumer_state;
mod copied_rows;
mod copy;
mod fence;
mod insert;
mod insert_one;
mod json;
mod migrations;
mod new_row;
mod notifications;
mod repository;
mod rows;
mod single;
mod transaction_id;

use std::ops::ControlFlow;

use diesel::connection::{LoadConnection, TransactionManager};
use diesel::migration::MigrationConnection;
use diesel::pg::{Pg, PgRowByRowLoadingMode};
use diesel::result::QueryResult;
use diesel_migrations::MigrationHarness;

pub use self::notifications::{Listener, Notifications, Notifier};
use super::backend::{Failing, Probe};
use super::transactions::open_transactions;
use super::{StoreBackend, TableSchema, messages, savepoint};
use crate::{
    Duplicates, Error, Lease, LeaseRequest, PageRequest, Position, RawMessage, Sightings,
    StoredMessage, TransactionMark,
};

impl<C> StoreBackend<C> for Pg
where
    C: LoadConnection<Backend = Pg>
        + LoadConnection<PgRowByRowLoadingMode>
        + MigrationConnection
        + MigrationHarness<Pg>
        + 'static,
{
    const FAILING: Failing = Failing {
        is_hidden_when_loaded: false,
        violations_are_harmless: false,
        probe_is_exact: false,
    };

    fn begin_guarded(connection: &mut C, is_watched: bool) -> QueryResult<Option<String>> {
        C::TransactionManager::begin_transaction(connection)?;
        // libpq knows when a transaction is over or has failed, and a watch whether it is another one.
        if is_watched {
            return Ok(None);
        }
        let open = open_transactions(connection);
        connection.batch_execute(&savepoint::set_sql(open))?;
        transaction_id::get(connection)
    }

    fn probe(connection: &mut C, mark: &TransactionMark) -> QueryResult<Probe> {
        transaction_id::probe(connection, mark)
    }

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

    fn last_position(connection: &mut C, schema: &TableSchema) -> Result<Position, Error> {
        fence::last_position(connection, &schema.messages)
    }

    /// Row by row: they are decoded while the server sends the next ones, and a page that ends early is not
    /// in memory as a whole.
    fn read_page(
        connection: &mut C,
        schema: &TableSchema,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        messages::read_page::<PgRowByRowLoadingMode, _>(
            connection,
            &schema.messages,
            request,
            receive,
        )
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
