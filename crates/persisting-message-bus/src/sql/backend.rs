use std::ops::ControlFlow;
use std::time::Duration;

use diesel::connection::LoadConnection;
use diesel::result::QueryResult;

use crate::error::Error;
use crate::message::raw::{RawMessage, StoredMessage};
use crate::position::Position;
use crate::sql::dialect::Dialect;
use crate::sql::executor::on_sync::OnSync;
use crate::sql::executor::{Executor, now};
use crate::sql::failing::Failing;
use crate::sql::rows::ReadValue;
use crate::sql::schema::{MessageTable, TableSchema};
use crate::sql::statements::{consumers, leases, messages, renewals};
use crate::store::ahead::Ahead;
use crate::store::consumer_state::{ConsumerRow, MarkBeyond};
use crate::store::key::ConsumerKey;
use crate::store::lease::{Lease, LeaseRequest};
use crate::store::page_request::PageRequest;
use crate::store::place::MessageAt;
use crate::store::repository::OnDuplicate;
use crate::store::segment::Segment;
use crate::store::slot_observations::SlotObservations;
use crate::store::transactions::TransactionMark;

/// The state of a transaction, as the database reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// The transaction can be committed.
    Open,
    /// The transaction can only be rolled back.
    Aborted,
    /// The transaction is open, but another database was selected in it.
    Moved,
    /// The transaction has ended.
    Ended,
}

/// The operations of publishing, and of transactions, that differ between databases. They work on sync
/// and async connections.
#[diagnostic::on_unimplemented(
    message = "the feature for this database is not enabled",
    note = "enable the feature with the name of the database on `persisting-message-bus`: `sqlite`, `postgres` or `mysql`"
)]
#[expect(missing_docs, reason = "each function is described where its trait is")]
pub trait PublishBackend: Dialect + ReadValue {
    const FAILING: Failing;

    /// Makes all statements of the library run in the same database. The library calls this before
    /// each operation.
    fn follow_database<E: Executor<Backend = Self>>(_executor: &mut E) {}

    /// Begins a transaction and marks it. Returns the id that the database gives the transaction,
    /// where the mark needs the id because no watch observes the statements.
    fn begin_guarded<E: Executor<Backend = Self>>(
        executor: &mut E,
        is_watched: bool,
    ) -> impl Future<Output = QueryResult<Option<String>>> + Send;

    /// Asks the database for the state of the transaction that `mark` identifies.
    fn probe<E: Executor<Backend = Self>>(
        executor: &mut E,
        mark: &TransactionMark,
    ) -> impl Future<Output = QueryResult<Probe>> + Send;

    fn persist<E: Executor<Backend = Self>>(
        executor: &mut E,
        schema: &TableSchema,
        messages: &[RawMessage],
        duplicates: OnDuplicate,
    ) -> impl Future<Output = Result<usize, Error>> + Send;
}

/// The operations of consumers that differ between databases, on any sync connection to the database.
/// The features `sqlite`, `postgres` and `mysql` implement this trait.
///
/// The functions are those of [`MessageSource`](crate::backend::MessageSource),
/// [`MessageRepository`](crate::backend::MessageRepository) and
/// [`MessageConsumerState`](crate::backend::MessageConsumerState). They also take the connection
/// and the names of its tables.
#[diagnostic::on_unimplemented(
    message = "the feature for this database is not enabled",
    note = "enable the feature with the name of the database on `persisting-message-bus`: `sqlite`, `postgres` or `mysql`"
)]
#[expect(missing_docs, reason = "each function is described where its trait is")]
#[expect(
    clippy::missing_errors_doc,
    reason = "each function is described where its trait is"
)]
pub trait StoreBackend<C>: PublishBackend {
    /// Runs statements of a consumer that write and may have to wait for other writers. `is_first`
    /// means that nothing was done before in their transaction, if there is one. They can be repeated
    /// if nothing has taken effect.
    fn write<R>(
        connection: &mut C,
        _is_first: bool,
        mut write: impl FnMut(&mut C) -> Result<R, Error>,
    ) -> Result<R, Error> {
        write(connection)
    }

    /// Renews a lease so that it takes effect at once, unless a transaction is open. Databases that
    /// lock rows do not wait for a transaction that has locked its row; this default does.
    fn renew(
        connection: &mut C,
        schema: &TableSchema,
        lease: &Lease,
        duration: Duration,
    ) -> Result<(), Error>
    where
        C: LoadConnection<Backend = Self> + 'static,
    {
        renewals::renew(connection, schema, lease, duration)
    }

    fn migrate(connection: &mut C) -> Result<(), Error>;

    fn guard(_connection: &mut C, _schema: &TableSchema) -> Result<(), Error> {
        Ok(())
    }

    fn unguard(_connection: &mut C, _schema: &TableSchema) -> Result<(), Error> {
        Ok(())
    }

    fn high_water_mark(
        connection: &mut C,
        schema: &TableSchema,
        topic: &str,
        observations: &mut SlotObservations,
    ) -> Result<Position, Error>;

    fn high_water_mark_beyond(
        connection: &mut C,
        schema: &TableSchema,
        topic: &str,
        _after: Position,
        observations: &mut SlotObservations,
    ) -> Result<Option<Position>, Error> {
        Self::high_water_mark(connection, schema, topic, observations).map(Some)
    }

    fn stored_consumer_and_mark(
        connection: &mut C,
        schema: &TableSchema,
        key: ConsumerKey<'_>,
        _after: Position,
    ) -> Result<(Option<ConsumerRow>, MarkBeyond), Error>
    where
        C: LoadConnection<Backend = Self> + 'static,
    {
        let stored = now(consumers::status(&mut OnSync(connection), schema, key))?;
        Ok((stored, MarkBeyond::NotAsked))
    }

    /// Returns the head of a page's topic, and the first messages of the page if the connection can be
    /// asked for both at once.
    fn head_and_ahead(
        connection: &mut C,
        table: &MessageTable,
        page: &PageRequest<'_>,
    ) -> Result<(MessageAt, Option<Ahead>), Error>
    where
        C: LoadConnection<Backend = Self> + 'static,
    {
        messages::head_only(connection, table, page)
    }

    fn last_position(connection: &mut C, schema: &TableSchema) -> Result<Position, Error>;

    fn change_token(_connection: &mut C, _schema: &TableSchema) -> Result<Option<i64>, Error> {
        Ok(None)
    }

    /// Passes a page to `receive`. One statement reads all of its range.
    fn read_page(
        connection: &mut C,
        schema: &TableSchema,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error>;

    fn acquire(
        connection: &mut C,
        schema: &TableSchema,
        request: &LeaseRequest<'_>,
    ) -> Result<Lease, Error>;

    /// Ends the lease of any holder, on the consumer's row or on that of a segment.
    fn end_lease(
        connection: &mut C,
        schema: &TableSchema,
        key: ConsumerKey<'_>,
        segment: Option<&Segment>,
    ) -> Result<bool, Error>
    where
        C: LoadConnection<Backend = Self> + 'static,
    {
        leases::end_any(connection, schema, key, segment, leases::END_ANY)
    }
}
