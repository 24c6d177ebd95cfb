use diesel_async_0_9::AsyncConnection;

use crate::sql::backend::PublishBackend;
use crate::sql::schema::{TableSchema, WithTables};

/// An async connection and the names of its tables. A connection of diesel-async by itself uses the
/// default names.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async connection to a database",
    label = "not an async connection",
    note = "pass a connection of diesel-async, or `&mut schema.bind(&mut connection)`; from a pool, pass `&mut pool.get().await?`",
    note = "for a sync connection of Diesel, use the type of the same name at the root of `persisting_message_bus`"
)]
pub trait AsyncTables: Send {
    /// The database.
    type Backend: PublishBackend;
    /// The connection.
    type Connection: AsyncConnection<Backend = Self::Backend>;

    /// Returns the connection and the names of its tables.
    fn parts(&mut self) -> (&mut Self::Connection, &TableSchema);
}

#[diagnostic::do_not_recommend]
impl<C> AsyncTables for C
where
    C: AsyncConnection,
    C::Backend: PublishBackend,
{
    type Backend = C::Backend;
    type Connection = C;

    fn parts(&mut self) -> (&mut C, &TableSchema) {
        (self, TableSchema::DEFAULT)
    }
}

impl<C> AsyncTables for WithTables<'_, C>
where
    C: AsyncConnection,
    C::Backend: PublishBackend,
{
    type Backend = C::Backend;
    type Connection = C;

    fn parts(&mut self) -> (&mut C, &TableSchema) {
        (self.connection, self.schema)
    }
}
