use crate::error::Error;
use crate::error::class::Class;
use crate::sql::backend::StoreBackend;
use crate::sql::executor::now;
use crate::sql::executor::on_sync::OnSync;
use crate::sql::missing::Missing;
use crate::sql::tables::ConsumerTables;

const NOT_OURS: &str = "the library creates only tables with its default names: create these with a \
    migration of your own, or correct the TableSchema";

const CANNOT_CREATE: &str = "call migrate once as a user that can create tables, and procedures on \
    MySQL and MariaDB, on a server that can be written, or create the tables with another tool from the library's folder `migrations`; \
    if a table of that name belongs to another program, rename it";

const NOT_THERE: &str = "__diesel_schema_migrations lists all migrations of the library. If the tables \
    are in another schema or database, correct the search_path or the address; if they were dropped \
    or renamed, restore them, or drop the library's other tables, delete the versions that end with \
    `persistingmessagebus` from __diesel_schema_migrations, and migrate again";

/// Creates the tables of the default [`TableSchema`](super::TableSchema), or brings them up to
/// date.
///
/// The call first looks for the tables and their columns. If all are there, it changes nothing. So
/// it then succeeds for each user that can connect: with no rights but SELECT, in a read-only
/// transaction, on a replica, and on a file that cannot be written. A program can therefore call it
/// at each start. MySQL and MariaDB hide tables on which the user has no right at all, so the user
/// needs one on each of them there.
///
/// Several processes can call it at the same time. Diesel's migration harness records the
/// migrations in `__diesel_schema_migrations`, beside the application's own migrations. Their
/// versions end with `persistingmessagebus`, so that they differ from those of the application.
/// `diesel migration revert` does not find the library's migrations there. To revert migrations
/// with Diesel's command line, or to create the tables with another tool, copy the files from the
/// package's folder `migrations`. This function then finds the tables, and does nothing.
///
/// With other names ([`TableSchema::bind`](super::TableSchema::bind)), the call creates nothing. It
/// only checks that the tables and columns are there.
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
/// The error names the missing tables or columns, and the place where they were looked for:
///
/// - They cannot be created: the user does not have the right to do so, or some of the tables exist
///   with other columns.
/// - They are still missing afterwards, although the migrations are recorded: they were dropped, or
///   are in another schema.
/// - The names are not the default ones.
///
/// Also when the database cannot be reached.
pub fn migrate<T: ConsumerTables>(connection: &mut T) -> Result<(), Error> {
    let (connection, schema) = connection.parts();
    let missing = now(Missing::find(&mut OnSync(connection), schema))?;
    if missing.is_nothing() {
        return Ok(());
    }
    if !schema.has_default_names() {
        return Err(missing.error("checking its tables", NOT_OURS));
    }
    if let Err(error) = T::Backend::migrate(connection) {
        let may_be_lost = error.class().is_some_and(Class::is_lost);
        // A file that cannot be written counts as lost, too, and can be asked.
        if may_be_lost && now(Missing::find(&mut OnSync(connection), schema)).is_err() {
            return Err(error);
        }
        return Err(missing.explain(error, CANNOT_CREATE));
    }
    match now(Missing::find(&mut OnSync(connection), schema))? {
        missing if missing.is_nothing() => Ok(()),
        missing => Err(missing.error("checking its tables after all migrations", NOT_THERE)),
    }
}
