use std::ops::ControlFlow;

use diesel::backend::Backend;

use super::TableSchema;
use crate::{
    ConsumerStatus, Duplicates, Error, Lease, LeaseRequest, PageRequest, Position, RawMessage,
    Sightings, StoreCursor, StoredMessage,
};

/// The SQL of one database, on any connection to it. The features `sqlite`, `postgres` and `mysql` implement it.
///
/// The functions are those of [`MessageRepository`](crate::MessageRepository) and
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
pub trait StoreBackend<C>: Backend {
    fn migrate(connection: &mut C) -> Result<(), Error>;

    fn horizon(
        connection: &mut C,
        schema: &TableSchema,
        topic: &str,
        sightings: &mut Sightings,
    ) -> Result<Position, Error>;

    fn head(
        connection: &mut C,
        schema: &TableSchema,
        topic: &str,
        horizon: Position,
    ) -> Result<Position, Error>;

    fn last_position(connection: &mut C, schema: &TableSchema) -> Result<Position, Error>;

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

    fn store_cursor(
        connection: &mut C,
        schema: &TableSchema,
        lease: &Lease,
        store: &StoreCursor,
    ) -> Result<(), Error>;

    fn release(connection: &mut C, schema: &TableSchema, lease: &Lease) -> Result<(), Error>;

    fn consumer_status(
        connection: &mut C,
        schema: &TableSchema,
        consumer: &str,
        topic: &str,
    ) -> Result<Option<ConsumerStatus>, Error>;
}
