use diesel::connection::LoadConnection;
use diesel::migration::MigrationConnection;
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::error::Error;
use crate::sql::error::failed_while;
use crate::sql::own_transactions::in_own_transaction;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Takes the write lock before the pending migrations are read, so that two processes cannot both
/// find the same migration pending.
const LOCK: &str = "UPDATE __diesel_schema_migrations SET version = version WHERE FALSE";

pub(super) fn migrate<C>(connection: &mut C) -> Result<(), Error>
where
    C: LoadConnection<Backend = Sqlite> + MigrationConnection + MigrationHarness<Sqlite> + 'static,
{
    connection
        .setup()
        .map_err(|cause| failed_while("creating Diesel's table of migrations", cause))?;
    in_own_transaction(connection, |connection| {
        connection
            .batch_execute(LOCK)
            .map_err(|cause| failed_while("waiting for another migration", cause))?;
        connection
            .run_pending_migrations(MIGRATIONS)
            .map_err(|cause| Error::permanent("migrating its tables", cause))?;
        Ok(())
    })
}
