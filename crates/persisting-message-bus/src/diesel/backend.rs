use std::ops::ControlFlow;

use diesel::backend::Backend;
use diesel::result::QueryResult;

use super::TableSchema;
use super::rows::ReadValue;
use super::statement::Dialect;
use crate::{
    Duplicates, Error, Lease, LeaseRequest, PageRequest, Position, RawMessage, Sightings,
    StoredMessage, TransactionMark,
};

/// What a database says of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// It can be committed.
    Open,
    /// It can only be rolled back.
    Aborted,
    /// It is over.
    Ended,
}

/// What a database, and Diesel's connection to it, do when a statement fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failing {
    /// Diesel does not report the errors of statements whose rows are loaded.
    pub is_hidden_when_loaded: bool,
    /// A constraint that is violated undoes its statement, and leaves the transaction as it is.
    pub violations_are_harmless: bool,
    /// The probe tells a transaction from one that was begun after it, whether or not the statements are
    /// watched.
    pub probe_is_exact: bool,
}

/// What is different from database to database, on any connection to it. The features `sqlite`,
/// `postgres` and `mysql` implement it.
///
/// The functions are those of [`MessageSource`](crate::MessageSource),
/// [`MessageRepository`](crate::MessageRepository) and
/// [`MessageConsumerState`](crate::MessageConsumerState), with the connection and the names of its
/// tables.
#[diagnostic::on_unimplemented(
    message = "this database is not turned on",
    note = "turn on the feature of its name on `persisting-message-bus`: `sqlite`, `postgres` or `mysql`"
)]
#[expect(missing_docs, reason = "each function is described where its trait is")]
#[expect(
    clippy::missing_errors_doc,
    reason = "each function is described where its trait is"
)]
pub trait StoreBackend<C>: Backend + Dialect + ReadValue {
    const FAILING: Failing;

    /// Begins a transaction and marks it; returns what the database calls it, where that has to be asked
    /// because nobody watches the statements.
    fn begin_guarded(connection: &mut C, is_watched: bool) -> QueryResult<Option<String>>;

    /// Asks the database what has become of the transaction of a mark.
    fn probe(connection: &mut C, mark: &TransactionMark) -> QueryResult<Probe>;

    fn migrate(connection: &mut C) -> Result<(), Error>;

    fn horizon(
        connection: &mut C,
        schema: &TableSchema,
        topic: &str,
        sightings: &mut Sightings,
    ) -> Result<Position, Error>;

    fn last_position(connection: &mut C, schema: &TableSchema) -> Result<Position, Error>;

    fn changes(_connection: &mut C, _schema: &TableSchema) -> Result<Option<i64>, Error> {
        Ok(None)
    }

    fn read_page(
        connection: &mut C,
        schema: &TableSchema,
        request: &PageRequest<'_>,
        receive: &mut dyn FnMut(&StoredMessage<'_>) -> ControlFlow<()>,
    ) -> Result<(), Error>;

    fn persist(
        connection: &mut C,
        schema: &TableSchema,
        messages: &[RawMessage],
        duplicates: Duplicates,
    ) -> Result<usize, Error>;

    fn acquire(
        connection: &mut C,
        schema: &TableSchema,
        request: &LeaseRequest<'_>,
    ) -> Result<Lease, Error>;
}
