use diesel::Connection;

use super::StoreBackend;
use crate::Error;

/// Creates the tables of the default [`TableSchema`](super::TableSchema), or brings them up to
/// date. Does nothing when they are.
///
/// Several processes may call it at the same time. What was done is recorded by Diesel's migration
/// harness in `__diesel_schema_migrations`, beside the application's own migrations; `diesel
/// migration revert` does not know it there. Who reverts migrations with Diesel's command line copies
/// the files from the package's folder `migrations` among their own instead of calling this.
///
/// # Errors
///
/// When a statement fails: the tables are there already but were not made by a migration, or the
/// user may not create tables.
pub fn migrate<C>(connection: &mut C) -> Result<(), Error>
where
    C: Connection,
    C::Backend: StoreBackend<C>,
{
    C::Backend::migrate(connection)
}
