use diesel::Connection;

use crate::error::Error;
use crate::sql::backend::StoreBackend;

/// Creates the tables of the default [`TableSchema`](super::TableSchema), or brings them up to
/// date. Does nothing if they are up to date.
///
/// Several processes can call it at the same time. Diesel's migration harness records the
/// migrations in `__diesel_schema_migrations`, beside the application's own migrations. `diesel
/// migration revert` does not find the library's migrations there. To revert migrations with
/// Diesel's command line, copy the files from the package's folder `migrations` among your own
/// instead of calling this function.
///
#[cfg_attr(feature = "sqlite", doc = "```")]
#[cfg_attr(not(feature = "sqlite"), doc = "```ignore")]
/// use diesel::{Connection, SqliteConnection};
/// use persisting_message_bus::Position;
/// use persisting_message_bus::backend::MessageSource;
/// use persisting_message_bus::sql::{migrate, sqlite::Settings};
///
/// let mut connection = SqliteConnection::establish(":memory:")?;
/// Settings::default().apply(&mut connection)?;
/// migrate(&mut connection)?;
/// assert_eq!(connection.current_head("orders")?, Position::START);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// When a statement fails: the tables exist although no migration created them, or the user does
/// not have the right to create tables.
pub fn migrate<C>(connection: &mut C) -> Result<(), Error>
where
    C: Connection,
    C::Backend: StoreBackend<C>,
{
    C::Backend::migrate(connection)
}
