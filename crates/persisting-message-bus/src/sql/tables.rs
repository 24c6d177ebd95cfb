use diesel::connection::LoadConnection;

use crate::error::Error;
use crate::sql::backend::{PublishBackend, StoreBackend};
use crate::sql::executor::now;
use crate::sql::executor::on_sync::OnSync;
use crate::sql::missing;
use crate::sql::schema::{TableSchema, WithTables};

/// A connection and the names of its tables. A Diesel connection by itself uses the default names.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a connection to a database",
    label = "not a connection",
    note = "pass a Diesel connection, or `&mut schema.bind(&mut connection)`; from a pool, pass `&mut pool.get()?`, and from a mutex, `&mut *guard`",
    note = "for `PgConnection`, `SqliteConnection` or `MysqlConnection`, turn on the feature `postgres`, `sqlite` or `mysql` of `persisting-message-bus`; for pooled connections, also `r2d2`",
    note = "for a connection of diesel-async, use `persisting_message_bus::asynchronous`"
)]
pub trait Tables {
    /// The database.
    type Backend: PublishBackend;
    /// The connection.
    type Connection: LoadConnection<Backend = Self::Backend> + 'static;

    /// Returns the connection and the names of its tables.
    fn parts(&mut self) -> (&mut Self::Connection, &TableSchema);
}

#[diagnostic::do_not_recommend]
impl<C> Tables for C
where
    C: LoadConnection + 'static,
    C::Backend: PublishBackend,
{
    type Backend = C::Backend;
    type Connection = C;

    fn parts(&mut self) -> (&mut C, &TableSchema) {
        C::Backend::follow_database(&mut OnSync(self));
        (self, TableSchema::DEFAULT)
    }
}

impl<C> Tables for WithTables<'_, C>
where
    C: LoadConnection + 'static,
    C::Backend: PublishBackend,
{
    type Backend = C::Backend;
    type Connection = C;

    fn parts(&mut self) -> (&mut C, &TableSchema) {
        C::Backend::follow_database(&mut OnSync(self.connection));
        (self.connection, self.schema)
    }
}

/// A connection, and its tables, on which consumers work.
pub trait ConsumerTables: Tables<Backend: StoreBackend<<Self as Tables>::Connection>> {}

#[diagnostic::do_not_recommend]
impl<T> ConsumerTables for T
where
    T: Tables,
    T::Backend: StoreBackend<T::Connection>,
{
}

/// Calls `run` with the connection and the names of its tables. If that fails because tables are
/// missing, the error names them.
pub(super) fn on_tables<T: Tables, R>(
    tables: &mut T,
    run: impl FnOnce(&mut T::Connection, &TableSchema) -> Result<R, Error>,
) -> Result<R, Error> {
    let (connection, schema) = tables.parts();
    run(connection, schema)
        .map_err(|error| now(missing::explained(&mut OnSync(connection), schema, error)))
}
