//! PostgreSQL: publishers hold a fence, which shows readers which messages can still be committed.
//!
//! - Positions come from a sequence, before the commit. A publisher's transaction holds one shared
//!   advisory lock for each topic that it publishes on. Readers stay below the positions of all
//!   transactions that hold such a lock. A program that inserts rows by itself, and does not use
//!   this library, takes no lock, so readers skip the messages that it commits late, unless it calls
//!   the function of [`publish_statements`], or
//!   [`guard_foreign_inserts`](crate::sql::guard_foreign_inserts) has installed the guard.
//! - A message can be dispatched in any isolation level. Consumers read in sessions whose
//!   transactions are READ COMMITTED, because another level does not see concurrent commits.
//! - Readers need the primary: a standby does not see the publishers' locks.
//! - Large batches are copied (COPY) on Diesel's own connections, plain and pooled. Connections of
//!   other types must own their data (`'static`), and insert.
//! - Begin transactions through Diesel. In a transaction that Diesel does not know, a duplicate
//!   that is the first write ends the transaction.
//! - The tables are found through the `search_path`. Everything of the server's is named with its
//!   schema. The roles need USAGE on the sequence of the positions.
//! - Rows that a trigger, a rule or a policy drops are an error. The message table must have a unique
//!   index on the message id alone.

pub(crate) mod copied_rows;
mod dialect;
pub(crate) mod fence;
mod fitness;
pub(crate) mod guard;
pub(crate) mod json;
pub(crate) mod leases;
mod left_out;
pub(crate) mod locks;
pub(crate) mod migrations;
pub(crate) mod notifications;
pub(crate) mod publish_autocommit;
pub(crate) mod publish_copy;
pub(crate) mod publish_errors;
pub(crate) mod publish_function;
pub(crate) mod publish_many;
pub(crate) mod publish_one;
pub(crate) mod publish_statement;
mod quoting;
pub(crate) mod row_writer;
pub(crate) mod rows;
pub(crate) mod sequence;
mod topic_hash;
pub(crate) mod transaction_id;
mod unnested_rows;

use std::ops::ControlFlow;

use diesel::connection::{LoadConnection, TransactionManager};
use diesel::migration::MigrationConnection;
use diesel::pg::{Pg, PgRowByRowLoadingMode};
use diesel::result::QueryResult;
use diesel_migrations::MigrationHarness;

use crate::error::Error;
use crate::message::raw::{RawMessage, StoredMessage};
use crate::position::Position;
use crate::sql::backend::{Failing, Probe, StoreBackend};
pub use crate::sql::postgres::guard::guard_statements;
pub use crate::sql::postgres::notifications::{Listener, Notifications, Notifier};
pub use crate::sql::postgres::publish_function::publish_statements;
use crate::sql::savepoint;
use crate::sql::schema::TableSchema;
use crate::sql::statements::messages;
use crate::sql::transactions::depth;
use crate::store::key::ConsumerKey;
use crate::store::lease::{Lease, LeaseRequest};
use crate::store::repository::OnDuplicate;
use crate::store::slot_observations::SlotObservations;
use crate::store::source::PageRequest;
use crate::store::transactions::TransactionMark;

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
        // libpq reports whether a transaction has ended or failed, and the watch reports whether it
        // is another one.
        if is_watched {
            return Ok(None);
        }
        let open = depth(connection);
        connection.batch_execute(&savepoint::set_sql(open))?;
        transaction_id::get(connection)
    }

    fn probe(connection: &mut C, mark: &TransactionMark) -> QueryResult<Probe> {
        transaction_id::probe(connection, mark)
    }

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
        _observations: &mut SlotObservations,
    ) -> Result<Position, Error> {
        fence::high_water_mark(connection, schema, topic)
    }

    fn high_water_mark_beyond(
        connection: &mut C,
        schema: &TableSchema,
        topic: &str,
        after: Position,
        _observations: &mut SlotObservations,
    ) -> Result<Option<Position>, Error> {
        fence::high_water_mark_beyond(connection, schema, topic, after)
    }

    fn last_position(connection: &mut C, schema: &TableSchema) -> Result<Position, Error> {
        sequence::last_position(connection, &schema.messages)
    }

    /// Reads row by row: the rows are decoded while the server sends the next ones, and a page that
    /// ends early is never in memory as a whole.
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
        duplicates: OnDuplicate,
    ) -> Result<usize, Error> {
        let table = &schema.messages;
        match messages {
            [message] => publish_one::insert(connection, schema, message, duplicates),
            _ => publish_many::insert(connection, table, messages, duplicates),
        }
    }

    fn acquire(
        connection: &mut C,
        schema: &TableSchema,
        request: &LeaseRequest<'_>,
    ) -> Result<Lease, Error> {
        leases::acquire(connection, schema, request)
    }

    fn end_lease(
        connection: &mut C,
        schema: &TableSchema,
        key: ConsumerKey<'_>,
    ) -> Result<bool, Error> {
        leases::end_lease(connection, schema, key)
    }
}
