//! Locking a publisher slot that no other transaction holds. For the protocol, see `slots.rs`.

use diesel::mysql::Mysql;
use diesel::result::QueryResult;

use crate::sql::dialect::Statement;
use crate::sql::dialect::Value::Text;
use crate::sql::executor::Executor;
use crate::sql::schema::PublisherSlotsTable;

/// A connection begins at the same slot each time, so it finds the slot that it holds already.
const FREE_FROM_MINE: &str = "{slot} >= connection_id() % 64";
const FREE_BELOW_MINE: &str = "{slot} >= 0 AND {slot} < connection_id() % 64";

/// If there is no mark, the other rows must not be searched. A search that finds none of them would
/// lock the place where another transaction must insert them. A count is not joined, so the server
/// evaluates it first.
pub(super) const IF_MARKED: &str = "(
        SELECT count(*) FROM {table} AS mark WHERE mark.{topic} = ? AND mark.{slot} = -1) > 0";

/// No condition, in a text with as many values as one with [`IF_MARKED`].
pub(super) const ANY: &str = "? IS NOT NULL";

macro_rules! in_transaction {
    () => {
        "coalesce(/*M! @@in_transaction, */ 1)"
    };
}

/// Whether the session is in a transaction. Only MariaDB can tell, and only MariaDB reads the
/// comment.
pub(super) const IN_TRANSACTION: &str = in_transaction!();

/// The columns of a [`Session`].
pub(super) const SESSION: &str = concat!("@@sql_mode LIKE '%STRICT%', ", in_transaction!());

/// The state of the session that asks for a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Session {
    Good,
    CutsTexts,
    /// The session is not in a transaction, so a slot that it took was released at once.
    OutsideOfTransaction,
    /// The topic lacks rows in the table of slots.
    WithoutSlots,
}

/// The problem of a topic without slots.
pub(super) const LACKS_SLOTS: &str = "its topic lacks rows in the table of slots; insert them";

/// Locks a slot that no transaction holds, if there is one.
pub(super) async fn lock_free<E>(
    executor: &mut E,
    table: &PublisherSlotsTable,
    topic: &str,
    condition: &str,
) -> QueryResult<Option<Session>>
where
    E: Executor<Backend = Mysql>,
{
    for place in [FREE_FROM_MINE, FREE_BELOW_MINE] {
        let sql = format!(
            "SELECT {SESSION} FROM {{table}} WHERE {condition} AND {{topic}} = ? AND {place} \
             ORDER BY {{slot}} LIMIT 1 FOR UPDATE SKIP LOCKED"
        );
        let statement = Statement::new(sql, table, [Text(topic), Text(topic)]);
        let free = session_of(executor, statement).await?;
        if free.is_some() {
            return Ok(free);
        }
    }
    Ok(None)
}

/// Reads the state of the session with a statement that selects [`SESSION`], from a slot that it
/// locks, or from no table.
pub(super) async fn session_of<E>(
    executor: &mut E,
    statement: Statement<'_>,
) -> QueryResult<Option<Session>>
where
    E: Executor<Backend = Mysql>,
{
    let session = executor.first_row(statement, |[is_strict, in_transaction]| {
        let is_strict = is_strict.integer("sql_mode")? != 0;
        Ok(match in_transaction.integer("in_transaction")? {
            0 => Session::OutsideOfTransaction,
            _ if is_strict => Session::Good,
            _ => Session::CutsTexts,
        })
    });
    session.await
}
