use diesel::connection::LoadConnection;
use diesel::migration::MigrationConnection;
use diesel::pg::Pg;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::error::Error;
use crate::sql::error::failed_while;
use crate::sql::executor::now;
use crate::sql::executor::on_sync::OnSync;
use crate::sql::postgres::locks;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// Two processes that create the same table at once conflict, even with IF NOT EXISTS. The lock
/// ends with the transaction.
pub(in crate::sql::postgres) const LOCK: &str = "SELECT pg_catalog.pg_advisory_xact_lock(
    pg_catalog.hashtext('persisting_message_bus migrations'))";

pub(super) fn migrate<C>(connection: &mut C) -> Result<(), Error>
where
    C: LoadConnection<Backend = Pg> + MigrationConnection + MigrationHarness<Pg> + 'static,
{
    connection.transaction(|connection| {
        connection
            .batch_execute(LOCK)
            .map_err(|cause| failed_while("waiting for another migration", cause))?;
        // Tables on a server whose locks do not lock would only be of use to lose messages.
        now(locks::check(&mut OnSync(connection)))?;
        connection
            .setup()
            .map_err(|cause| failed_while("creating Diesel's table of migrations", cause))?;
        connection
            .run_pending_migrations(MIGRATIONS)
            .map_err(|cause| Error::permanent("migrating its tables", cause))?;
        Ok(())
    })
}
