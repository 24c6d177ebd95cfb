//! The guard of foreign inserts: a trigger that announces the rows that any program inserts.

#[cfg(any(feature = "postgres_backend", feature = "mysql_backend"))]
use crate::sql::executor::Executor;

use crate::error::Error;
use crate::sql::backend::StoreBackend;
#[cfg(any(feature = "postgres_backend", feature = "mysql_backend"))]
use crate::sql::hash::hash_of;
#[cfg(any(feature = "postgres_backend", feature = "mysql_backend"))]
use crate::sql::own_transactions::is_in_transaction;
#[cfg(any(feature = "postgres_backend", feature = "mysql_backend"))]
use crate::sql::schema::MessageTable;
use crate::sql::tables::{ConsumerTables, on_tables};

/// Installs the guard of foreign inserts on the message table: a trigger that announces each row to
/// readers, as this library's publishers do, whichever program inserts the row. Does nothing if the
/// guard is installed, and on SQLite, whose single writer needs none.
///
/// Without the guard, a consumer skips a message that another program inserts and commits late.
/// Programs that use this library should also set
/// [`with_foreign_inserts`](super::TableSchema::with_foreign_inserts), which documents the costs.
///
/// Publishers can be active meanwhile. The trigger becomes effective at a moment at which no
/// transaction has uncommitted messages: the call waits for such transactions, and later ones wait
/// for the call. It waits for 10 s at most.
///
/// The trigger decides the position of each row:
///
/// - On PostgreSQL, each row gets a new position, also one that a program gave a position.
/// - On MySQL and MariaDB, a row that a program gave a position is refused. So is a statement that
///   inserts rows of several topics, because all its positions are drawn with the first row.
///
#[cfg_attr(feature = "postgres", doc = "```no_run")]
#[cfg_attr(not(feature = "postgres"), doc = "```ignore")]
/// use diesel::{Connection, PgConnection};
/// use persisting_message_bus::sql::{TableSchema, guard_foreign_inserts, migrate};
///
/// let mut connection = PgConnection::establish("postgres://...")?;
/// migrate(&mut connection)?;
/// let schema = TableSchema::default().with_foreign_inserts();
/// guard_foreign_inserts(&mut schema.bind(&mut connection))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// - In a transaction, because later publishers would wait for its end.
/// - If the table does not exist, or on MySQL and MariaDB if its column of topics can be null.
/// - If the user may not create the trigger. PostgreSQL needs the owner of the table; the trigger's
///   function then acts with the owner's rights. MySQL and MariaDB need the privileges TRIGGER and
///   LOCK TABLES on the message table and SELECT, INSERT and UPDATE on the table of slots, and with a
///   binary log also SUPER or the server's setting `log_bin_trust_function_creators`.
/// - If publishers do not end within 10 s; [`is_retryable`](crate::Error::is_retryable) is then
///   true.
pub fn guard_foreign_inserts<T: ConsumerTables>(tables: &mut T) -> Result<(), Error> {
    on_tables(tables, T::Backend::guard)
}

/// Removes the guard of foreign inserts. Does nothing if there is none.
///
/// First stop the programs that insert rows by themselves, because consumers would again
/// skip messages of theirs. Programs with
/// [`with_foreign_inserts`](super::TableSchema::with_foreign_inserts) fail from then on: readers, and
/// on MySQL and MariaDB publishers too.
///
/// # Errors
///
/// In a transaction; if the user may not drop the trigger; and if publishers do not end within 10 s
/// ([`is_retryable`](crate::Error::is_retryable)).
pub fn unguard_foreign_inserts<T: ConsumerTables>(tables: &mut T) -> Result<(), Error> {
    on_tables(tables, T::Backend::unguard)
}

/// Returns the name of the table's trigger on MySQL, and of the trigger's function on PostgreSQL. It
/// contains a hash, because such names are unique in a schema, and shorter than the names of some
/// tables.
#[cfg(any(feature = "postgres_backend", feature = "mysql_backend"))]
pub(super) fn name_for(table: &MessageTable) -> String {
    format!("message_bus_guard_{:08x}", hash_of(&table.table))
}

/// Returns the operation for errors.
#[cfg(any(feature = "postgres_backend", feature = "mysql_backend"))]
pub(super) fn guarding(table: &MessageTable) -> String {
    format!("guarding foreign inserts into table \"{}\"", table.table)
}

/// Returns the operation for errors.
#[cfg(any(feature = "postgres_backend", feature = "mysql_backend"))]
pub(super) fn unguarding(table: &MessageTable) -> String {
    format!(
        "removing the guard of foreign inserts into table \"{}\"",
        table.table
    )
}

/// Returns the problem of a table whose guard is missing.
#[cfg(any(feature = "postgres_backend", feature = "mysql_backend"))]
pub(super) fn missing_on(table: &MessageTable) -> String {
    format!(
        "the table \"{}\" has no trigger that guards foreign inserts, so messages of other programs \
         could be skipped: call sql::guard_foreign_inserts, or leave out \
         TableSchema::with_foreign_inserts",
        table.table
    )
}

/// Refuses to work in a transaction, in which the lock on the table would last.
#[cfg(any(feature = "postgres_backend", feature = "mysql_backend"))]
pub(super) fn refuse_in_transaction<E: Executor>(
    executor: &mut E,
    doing: &str,
) -> Result<(), Error> {
    if is_in_transaction(executor) {
        let problem =
            "all publishers would wait for the end of this transaction: call it outside of one";
        return Err(Error::permanent(doing, problem));
    }
    Ok(())
}
