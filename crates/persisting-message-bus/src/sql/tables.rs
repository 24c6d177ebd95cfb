use diesel::connection::LoadConnection;

use crate::sql::backend::StoreBackend;
use crate::sql::schema::{TableSchema, WithTables};

/// A connection and the names of its tables. A Diesel connection by itself uses the default names.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a Diesel connection nor one with named tables",
    note = "pass a connection to SQLite, PostgreSQL or MySQL, or `schema.bind(&mut connection)`"
)]
pub trait Tables {
    /// The database.
    type Backend: StoreBackend<Self::Connection>;
    /// The connection.
    type Connection: LoadConnection<Backend = Self::Backend>;

    /// Returns the connection and the names of its tables.
    fn parts(&mut self) -> (&mut Self::Connection, &TableSchema);
}

impl<C> Tables for C
where
    C: LoadConnection,
    C::Backend: StoreBackend<C>,
{
    type Backend = C::Backend;
    type Connection = C;

    fn parts(&mut self) -> (&mut C, &TableSchema) {
        C::Backend::follow_database(self);
        (self, TableSchema::DEFAULT)
    }
}

impl<C> Tables for WithTables<'_, C>
where
    C: LoadConnection,
    C::Backend: StoreBackend<C>,
{
    type Backend = C::Backend;
    type Connection = C;

    fn parts(&mut self) -> (&mut C, &TableSchema) {
        C::Backend::follow_database(self.connection);
        (self.connection, self.schema)
    }
}
