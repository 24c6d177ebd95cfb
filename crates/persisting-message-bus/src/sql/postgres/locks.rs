//! The advisory locks of the server.
//!
//! Some servers speak PostgreSQL's protocol, and have its functions for locks, but the functions do
//! nothing. There, readers would see no publisher, and would skip the messages that are committed
//! late. So a session takes a lock and looks for it before it trusts the locks.

use diesel::pg::Pg;

use crate::error::Error;
use crate::sql::dialect::Statement;
use crate::sql::dialect::Value::Number;
use crate::sql::error::failed_while;
use crate::sql::executor::Asked;
use crate::sql::schema::TableSchema;

/// The condition that a row of `pg_locks` can be a publisher's lock.
pub(super) const IS_FENCE: &str = "locktype OPERATOR(pg_catalog.=) 'advisory'
    AND objsubid OPERATOR(pg_catalog.=) 1
    AND database OPERATOR(pg_catalog.=) (
        SELECT pg_database.oid FROM pg_catalog.pg_database
        WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database())";

/// The key of a lock, in a row of `pg_locks`.
pub(super) const KEY: &str = "((classid::bigint OPERATOR(pg_catalog.<<) 32)
    OPERATOR(pg_catalog.|) objid::bigint)";

/// The key of the lock that a session takes to look for it. Its lower half announces a position so
/// high that it holds no reader back.
const OWN: i64 = 0x7065_7273_ffff_ffff;

/// Takes a lock as publishers do, and returns `yes` if the session sees it. The lock ends with the
/// transaction. OFFSET and the condition make the server take the lock before it looks.
///
/// A setting remembers the result. It belongs to the session, because another session can be on
/// another server.
fn own_lock() -> String {
    format!(
        "SELECT pg_catalog.version(), CASE WHEN EXISTS (
            SELECT FROM pg_catalog.pg_locks
            WHERE {IS_FENCE} AND {KEY} OPERATOR(pg_catalog.=) taken.key AND granted
                AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()
        ) THEN pg_catalog.set_config('persisting_message_bus.sees_locks', 'yes', false) END
        FROM (
            SELECT key, pg_catalog.pg_advisory_xact_lock_shared(key) AS lock
            FROM (SELECT ? AS key OFFSET 0) AS wanted
            OFFSET 0
        ) AS taken
        WHERE taken.lock IS NOT NULL"
    )
}

/// Fails if the session does not see its own locks.
pub(super) async fn check<A>(asked: &mut A) -> Result<(), Error>
where
    A: Asked<Backend = Pg>,
{
    let doing = "checking the advisory locks of the server";
    let statement = Statement::new(own_lock(), &TableSchema::DEFAULT.messages, [Number(OWN)]);
    let answer = asked.first_row(statement, |[version, seen]| {
        let version = version.text("version")?.to_owned();
        Ok((version, seen.optional_text("set_config")?.is_some()))
    });
    let answer = answer.await.map_err(|cause| failed_while(doing, cause))?;
    let (version, is_seen) = answer.unwrap_or_default();
    if is_seen {
        return Ok(());
    }
    let problem = format!(
        "the server did not show a lock in pg_locks that this session had just taken with \
         pg_advisory_xact_lock_shared, so readers would skip messages that are committed late; it \
         calls itself \"{version}\". Use PostgreSQL itself, or a service that runs it: other servers \
         with its protocol, such as CockroachDB, lack these locks"
    );
    Err(Error::permanent(doing, problem))
}
