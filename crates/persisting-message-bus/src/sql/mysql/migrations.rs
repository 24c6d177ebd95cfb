use diesel::connection::LoadConnection;
use diesel::migration::MigrationConnection;
use diesel::mysql::Mysql;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::error::Error;
use crate::sql::dialect::Statement;
use crate::sql::error::failed_while;
use crate::sql::mysql::guard::MODES_AS_BEFORE;
use crate::sql::rows::first_row;
use crate::sql::schema::TableSchema;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/mysql");

/// Creating a table commits the transaction, so only a lock of the connection lasts long enough.
/// The lock ends with the connection at the latest.
const LOCK: &str =
    "SELECT get_lock(concat('persisting_message_bus ', md5(coalesce(database(), ''))), 3600)";
const UNLOCK: &str =
    "SELECT release_lock(concat('persisting_message_bus ', md5(coalesce(database(), ''))))";

const REMEMBER_MODES: &str = "SET @persisting_message_bus_modes = @@sql_mode";

const IS_HELD: &str = "another session has held the lock for an hour; wait until its migration \
    ends, or kill that session, and migrate again";
const WAS_LOST: &str = "another session holds the lock, because this session has lost it; check \
    that the tables are complete";

pub(super) fn migrate<C>(connection: &mut C) -> Result<(), Error>
where
    C: LoadConnection<Backend = Mysql> + MigrationConnection + MigrationHarness<Mysql> + 'static,
{
    run(connection, LOCK, "waiting for another migration", IS_HELD)?;
    let migrated = connection
        .setup()
        .map_err(|cause| failed_while("creating Diesel's table of migrations", cause))
        .and_then(|_| {
            let migrated = run_pending(connection);
            migrated.map_err(|cause| Error::permanent("migrating its tables", cause))
        });
    let doing = "releasing the lock of the migrations";
    let unlocked = run(connection, UNLOCK, doing, WAS_LOST);
    match (migrated, unlocked) {
        (Err(error), Err(second)) => Err(error.followed_by(second)),
        (migrated, unlocked) => migrated.and(unlocked),
    }
}

/// Runs the migrations. If one fails, it may not have reached the statement that sets the modes as
/// they were before.
fn run_pending<C>(connection: &mut C) -> diesel::migration::Result<()>
where
    C: LoadConnection<Backend = Mysql> + MigrationHarness<Mysql>,
{
    connection.batch_execute(REMEMBER_MODES)?;
    let migrated = connection.run_pending_migrations(MIGRATIONS).map(drop);
    if migrated.is_err() {
        // The first error matters more. A lost connection has no modes.
        let _second = connection.batch_execute(MODES_AS_BEFORE);
    }
    migrated
}

/// Runs a function of locks, which returns 1 if it succeeds, and 0 if it does not because of
/// `refusal`.
fn run<C>(
    connection: &mut C,
    sql: &'static str,
    doing: &str,
    refusal: &'static str,
) -> Result<(), Error>
where
    C: LoadConnection<Backend = Mysql> + 'static,
{
    let names = &TableSchema::DEFAULT.messages;
    let done = first_row(connection, Statement::new(sql, names, []), |[done]| {
        done.optional_integer("lock")
    });
    match done.map_err(|cause| failed_while(doing, cause))? {
        Some(Some(1)) => Ok(()),
        Some(Some(0)) => Err(Error::transient(doing, refusal)),
        // The server answers NULL if it ran out of memory, or if the session was killed.
        _ => Err(Error::transient(
            doing,
            "the server did not confirm it; its error log can name the cause",
        )),
    }
}
