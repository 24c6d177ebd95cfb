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

use diesel::mysql::Mysql;
use diesel::result::{Error as DieselError, QueryResult};

use crate::classify::chain::class_of_cause;
use crate::error::class::Class;
use crate::sql::dialect::Statement;
use crate::sql::dialect::Value::{Number, Text};
use crate::sql::executor::Executor;
use crate::sql::mysql::free_slots::{ANY, SESSION, Session, lock_free, session_of};
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
pub(super) async fn wait_for_slot<E>(
    executor: &mut E,
    table: &PublisherSlotsTable,
    topic: &str,
) -> QueryResult<Option<Session>>
where
    E: Executor<Backend = Mysql>,
{
    let patience = patience(executor, table).await?;
    let begun = Instant::now();
    executor.run(SET_SAVEPOINT).await?;
    for turn in 0.. {
        let slot = match lock_one(executor, table, topic, turn).await {
            Err(cause) if class_of_cause(&cause) == Class::Transient => {
                if has_ended(executor).await? {
                    return Err(cause);
                }
                lock_free(executor, table, topic, ANY).await?
            }
            // Nothing to wait for.
            Ok(None) => Some(Session::WithoutSlots),
            slot => slot?,
        };
        if slot.is_some() || begun.elapsed() > patience {
            executor.run(RELEASE_SAVEPOINT).await?;
            return Ok(slot);
        }
    }
    Ok(None)
}

/// Waits for one slot, the connection's own in turn 0.
async fn lock_one<E>(
    executor: &mut E,
    table: &PublisherSlotsTable,
    topic: &str,
    turn: i64,
) -> QueryResult<Option<Session>>
where
    E: Executor<Backend = Mysql>,
{
    let sql = format!(
        "{SHORTLY} SELECT {SESSION} FROM {{table}} \
         WHERE {{topic}} = ? AND {{slot}} = (connection_id() + ?) % 64 FOR UPDATE"
    );
    let statement = Statement::new(sql, table, [Text(topic), Number(turn)]);
    session_of(executor, statement).await
}

/// Returns `true` if the server has rolled the transaction back.
async fn has_ended<E>(executor: &mut E) -> QueryResult<bool>
where
    E: Executor<Backend = Mysql>,
{
    let both = format!("{RELEASE_SAVEPOINT}; {SET_SAVEPOINT}");
    match executor.run(&both).await {
        Ok(()) => Ok(false),
        Err(cause) if class_of_cause(&cause) == Class::Disconnected => Err(cause),
        Err(DieselError::DatabaseError(..)) => Ok(true),
        Err(cause) => Err(cause),
    }
}

/// Returns how long the session waits for a lock.
async fn patience<E>(executor: &mut E, table: &PublisherSlotsTable) -> QueryResult<Duration>
where
    E: Executor<Backend = Mysql>,
{
    let statement = Statement::new("SELECT @@innodb_lock_wait_timeout", table, []);
    let seconds = executor.first_row(statement, |[seconds]| {
        seconds.integer("innodb_lock_wait_timeout")
    });
    let seconds = seconds.await?;
    Ok(Duration::from_secs(seconds.unwrap_or(0).unsigned_abs()))
}
