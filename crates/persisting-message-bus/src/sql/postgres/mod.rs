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

mod arrays;
mod binary_time;
#[cfg(feature = "postgres")]
pub(crate) mod copied_rows;
mod dialect;
pub(crate) mod fence;
mod fitness;
pub(crate) mod guard;
pub(crate) mod json;
mod key_slot;
pub(crate) mod leases;
mod left_out;
pub(crate) mod locks;
pub(crate) mod migrations;
#[cfg(any(feature = "postgres", feature = "diesel-async-0_9-postgres"))]
pub(crate) mod notifications;
pub(crate) mod publish_autocommit;
#[cfg(feature = "postgres")]
pub(crate) mod publish_copy;
pub(crate) mod publish_errors;
pub(crate) mod publish_function;
pub(crate) mod publish_many;
pub(crate) mod publish_one;
pub(crate) mod publish_statement;
mod quoting;
#[cfg(feature = "diesel-async-0_9-postgres")]
mod read_ahead;
mod read_page;
mod renewals;
pub(crate) mod row_writer;
pub(crate) mod rows;
pub(crate) mod sequence;
mod topic_hash;
pub(crate) mod transaction_id;
mod unnested_rows;

use std::ops::ControlFlow;
use std::time::Duration;

use diesel::connection::LoadConnection;
use diesel::migration::MigrationConnection;
use diesel::pg::Pg;
use diesel::result::QueryResult;
use diesel_migrations::MigrationHarness;
#[cfg(feature = "diesel-async-0_9-postgres")]
use futures_util::future::join;

use crate::error::Error;
use crate::message::raw::{RawMessage, StoredMessage};
use crate::position::Position;
use crate::sql::backend::{Probe, PublishBackend, StoreBackend};
use crate::sql::executor::on_sync::OnSync;
#[cfg(feature = "diesel-async-0_9-postgres")]
use crate::sql::executor::pipeline::Pipeline;
use crate::sql::executor::{Executor, now};
use crate::sql::failing::Failing;
use crate::sql::own_transactions::depth;
pub use crate::sql::postgres::guard::guard_statements;
#[cfg(any(feature = "postgres", feature = "diesel-async-0_9-postgres"))]
pub use crate::sql::postgres::notifications::settings::Notifications;
#[cfg(feature = "postgres")]
pub use crate::sql::postgres::notifications::{Listener, Notifier};
pub use crate::sql::postgres::publish_function::publish_statements;
use crate::sql::savepoint;
#[cfg(feature = "diesel-async-0_9-postgres")]
use crate::sql::schema::MessageTable;
use crate::sql::schema::TableSchema;
#[cfg(feature = "diesel-async-0_9-postgres")]
use crate::sql::statements::consumers::status;
#[cfg(feature = "diesel-async-0_9-postgres")]
use crate::sql::statements::messages;
#[cfg(feature = "diesel-async-0_9-postgres")]
use crate::store::ahead::Ahead;
#[cfg(feature = "diesel-async-0_9-postgres")]
use crate::store::consumer_state::{ConsumerRow, MarkBeyond};
use crate::store::key::ConsumerKey;
use crate::store::lease::{Lease, LeaseRequest};
use crate::store::page_request::PageRequest;
#[cfg(feature = "diesel-async-0_9-postgres")]
use crate::store::place::MessageAt;
use crate::store::repository::OnDuplicate;
use crate::store::segment::Segment;
use crate::store::slot_observations::SlotObservations;
use crate::store::transactions::TransactionMark;

impl PublishBackend for Pg {
    const FAILING: Failing = Failing {
        is_hidden_when_loaded: false,
        violations_are_harmless: false,
        probe_is_exact: false,
    };

    async fn begin_guarded<E: Executor<Backend = Self>>(
        executor: &mut E,
        is_watched: bool,
    ) -> QueryResult<Option<String>> {
        executor.begin().await?;
        // Diesel knows whether a transaction has ended or failed, and the watch knows whether it is
        // another one.
        if is_watched {
            return Ok(None);
        }
        let open = depth(executor);
        executor.run(&savepoint::set_sql(open)).await?;
        transaction_id::get(executor).await
    }

    async fn probe<E: Executor<Backend = Self>>(
        executor: &mut E,
        mark: &TransactionMark,
    ) -> QueryResult<Probe> {
        transaction_id::probe(executor, mark).await
    }

    async fn persist<E: Executor<Backend = Self>>(
        executor: &mut E,
        schema: &TableSchema,
        messages: &[RawMessage],
        duplicates: OnDuplicate,
    ) -> Result<usize, Error> {
        let table = &schema.messages;
        match messages {
            [message] => publish_one::insert(executor, schema, message, duplicates).await,
            _ => publish_many::insert(executor, table, messages, duplicates).await,
        }
    }
}

impl<C> StoreBackend<C> for Pg
where
    C: LoadConnection<Backend = Pg> + MigrationConnection + MigrationHarness<Pg> + 'static,
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
        _observations: &mut SlotObservations,
    ) -> Result<Position, Error> {
        now(fence::high_water_mark(
            &mut OnSync(connection),
            schema,
            topic,
        ))
    }

    fn high_water_mark_beyond(
        connection: &mut C,
        schema: &TableSchema,
        topic: &str,
        after: Position,
        _observations: &mut SlotObservations,
    ) -> Result<Option<Position>, Error> {
        now(fence::high_water_mark_beyond(
            &mut OnSync(connection),
            schema,
            topic,
            after,
        ))
    }

    /// Asks both questions before the first is answered, where the connection can do that. The server
    /// answers them in their order, so this differs from asking twice only in the time that it takes.
    #[cfg(feature = "diesel-async-0_9-postgres")]
    fn stored_consumer_and_mark(
        connection: &mut C,
        schema: &TableSchema,
        key: ConsumerKey<'_>,
        after: Position,
    ) -> Result<(Option<ConsumerRow>, MarkBeyond), Error> {
        let Some(pipeline) = Pipeline::of(connection) else {
            let stored = now(status(&mut OnSync(connection), schema, key))?;
            return Ok((stored, MarkBeyond::NotAsked));
        };
        let [mut one, mut other] = [pipeline.clone(), pipeline.clone()];
        let stored = status(&mut one, schema, key);
        let mark = fence::high_water_mark_beyond(&mut other, schema, key.topic, after);
        let (stored, mark) = pipeline.thread.wait(join(stored, mark));
        Ok((stored?, MarkBeyond::Asked(mark?)))
    }

    #[cfg(feature = "diesel-async-0_9-postgres")]
    fn head_and_ahead(
        connection: &mut C,
        table: &MessageTable,
        page: &PageRequest<'_>,
    ) -> Result<(MessageAt, Option<Ahead>), Error> {
        match Pipeline::of(connection) {
            Some(pipeline) => read_ahead::read(&pipeline, table, page),
            None => messages::head_only(connection, table, page),
        }
    }

    fn last_position(connection: &mut C, schema: &TableSchema) -> Result<Position, Error> {
        sequence::last_position(connection, &schema.messages)
    }

    fn read_page(
        connection: &mut C,
        schema: &TableSchema,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        read_page::read(connection, &schema.messages, request, receive)
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
        renewals::renew(connection, schema, lease, duration)
    }

    fn end_lease(
        connection: &mut C,
        schema: &TableSchema,
        key: ConsumerKey<'_>,
        segment: Option<&Segment>,
    ) -> Result<bool, Error> {
        leases::end_lease(connection, schema, key, segment)
    }
}
