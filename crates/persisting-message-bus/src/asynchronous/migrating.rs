//! Migrations on an async connection.

use tokio::task::spawn_blocking;

use crate::asynchronous::blocking::{AsyncBus, Blocking};
use crate::error::Error;
use crate::sql::migrations;

/// Creates the tables of the library, or brings them up to date: see
/// [`sql::migrate`](crate::sql::migrate). Returns the connection.
///
/// A thread for blocking calls works on the connection meanwhile, so the call needs no runtime of
/// several threads.
///
#[cfg_attr(feature = "diesel-async-0_9-sqlite", doc = "```")]
#[cfg_attr(not(feature = "diesel-async-0_9-sqlite"), doc = "```ignore")]
/// # extern crate diesel_async_0_9 as diesel_async;
/// use diesel::SqliteConnection;
/// use diesel_async::AsyncConnection;
/// use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
/// use persisting_message_bus::asynchronous::migrate;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let connection = SyncConnectionWrapper::<SqliteConnection>::establish(":memory:").await?;
/// let connection = migrate(connection).await?;
/// # drop(connection);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Those of [`sql::migrate`](crate::sql::migrate), and when the runtime ends first. The connection
/// is dropped then.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub async fn migrate<C: AsyncBus>(connection: C) -> Result<C, Error> {
    let migrate = move || {
        let mut blocking = Blocking::from(connection);
        migrations::migrate(&mut blocking)?;
        Ok(blocking.into_inner())
    };
    let migrated = spawn_blocking(migrate).await;
    migrated.unwrap_or_else(|ended| Err(Error::permanent("migrating", ended)))
}
