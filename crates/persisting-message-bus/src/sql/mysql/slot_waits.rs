//! Waiting for a publisher slot, if other transactions hold all of them.
//!
//! A publisher may hold locks while it waits: on rows of the application, or on slots of other
//! topics. Holders of slots may need these locks. InnoDB finds such a deadlock only if each of the
//! transactions waits in the database, for a lock of another one. So a publisher waits for one slot
//! with a plain FOR UPDATE. Publishers wait for different slots, because each begins at its own.
//!
//! Another slot may become free in the meantime. So a wait on MariaDB is short, and the publisher then
//! searches all slots again and waits for the next one. MySQL cannot limit a single wait.

use std::time::{Duration, Instant};

use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::result::{Error as DieselError, QueryResult};

use crate::classify::chain::class_of_cause;
use crate::error::class::Class;
use crate::sql::dialect::Statement;
use crate::sql::dialect::Value::{Number, Text};
use crate::sql::mysql::free_slots::{ANY, SESSION, Session, lock_free, session_of};
use crate::sql::rows::first_row;
use crate::sql::schema::PublisherSlotsTable;

/// Ends a wait after a second. A search for a free slot tries to lock up to 64 rows, so with shorter
/// waits, a hundred waiting publishers would keep the server busy.
///
/// Only MariaDB can limit a wait without a setting of the session, and only MariaDB reads the
/// comment. On MySQL, a publisher waits for its own slot until that is free. The limit is not a lock
/// wait timeout, because with `innodb_rollback_on_timeout` that would roll the transaction back.
const SHORTLY: &str = "/*M! SET STATEMENT max_statement_time = 1 FOR */";

/// Shows whether the server has rolled the transaction back, which it does after a deadlock.
const SET_SAVEPOINT: &str = "SAVEPOINT persisting_message_bus_slot";
const RELEASE_SAVEPOINT: &str = "RELEASE SAVEPOINT persisting_message_bus_slot";

/// Locks a slot as soon as one is free. Returns `None` if none was free for as long as the session
/// waits for a lock.
pub(super) fn wait_for_slot<C>(
    connection: &mut C,
    table: &PublisherSlotsTable,
    topic: &str,
) -> QueryResult<Option<Session>>
where
    C: LoadConnection<Backend = Mysql>,
{
    let patience = patience(connection, table)?;
    let begun = Instant::now();
    connection.batch_execute(SET_SAVEPOINT)?;
    for turn in 0.. {
        let slot = match lock_one(connection, table, topic, turn) {
            Err(cause) if class_of_cause(&cause) == Class::Transient => {
                if has_ended(connection)? {
                    return Err(cause);
                }
                lock_free(connection, table, topic, ANY)?
            }
            // Nothing to wait for.
            Ok(None) => Some(Session::WithoutSlots),
            slot => slot?,
        };
        if slot.is_some() || begun.elapsed() > patience {
            connection.batch_execute(RELEASE_SAVEPOINT)?;
            return Ok(slot);
        }
    }
    Ok(None)
}

/// Waits for one slot, the connection's own in turn 0.
fn lock_one<C>(
    connection: &mut C,
    table: &PublisherSlotsTable,
    topic: &str,
    turn: i64,
) -> QueryResult<Option<Session>>
where
    C: LoadConnection<Backend = Mysql>,
{
    let sql = format!(
        "{SHORTLY} SELECT {SESSION} FROM {{table}} \
         WHERE {{topic}} = ? AND {{slot}} = (connection_id() + ?) % 64 FOR UPDATE"
    );
    let statement = Statement::new(sql, table, [Text(topic), Number(turn)]);
    session_of(connection, statement)
}

/// Returns `true` if the server has rolled the transaction back.
fn has_ended<C>(connection: &mut C) -> QueryResult<bool>
where
    C: LoadConnection<Backend = Mysql>,
{
    match connection.batch_execute(&format!("{RELEASE_SAVEPOINT}; {SET_SAVEPOINT}")) {
        Ok(()) => Ok(false),
        Err(cause) if class_of_cause(&cause) == Class::Disconnected => Err(cause),
        Err(DieselError::DatabaseError(..)) => Ok(true),
        Err(cause) => Err(cause),
    }
}

/// Returns how long the session waits for a lock.
fn patience<C>(connection: &mut C, table: &PublisherSlotsTable) -> QueryResult<Duration>
where
    C: LoadConnection<Backend = Mysql>,
{
    let statement = Statement::new("SELECT @@innodb_lock_wait_timeout", table, []);
    let seconds = first_row(connection, statement, |[seconds]| {
        seconds.integer("innodb_lock_wait_timeout")
    })?;
    Ok(Duration::from_secs(seconds.unwrap_or(0).unsigned_abs()))
}
