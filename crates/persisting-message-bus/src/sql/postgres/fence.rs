//! How readers determine which messages can still be committed.
//!
//! A publisher reads the last value F of the sequence of positions. It then takes a shared advisory
//! lock whose key contains the topic, the sequence and F. Only after that does it draw its
//! positions, which are larger than F. The lock ends with the publisher's transaction.
//!
//! A reader takes three steps, one after the other:
//!
//! 1. It reads the sequence's last value S.
//! 2. It reads the lowest F among the locks on the topic and the sequence. The high-water mark is
//!    min(S, F).
//! 3. In a snapshot that is taken after that, it reads the rows up to the high-water mark.
//!
//! The first two steps read the state at that moment, and not a snapshot.
//!
//! A publisher that drew a position up to S took its lock before that. So step 2 has two cases. If
//! the reader sees the lock, the high-water mark stays below the publisher's positions. If the
//! publisher's transaction has ended, step 3 sees the rows that it committed.
//!
//! An idle reader does not read the locks, because the server copies all locks of all its databases
//! for each reader of them. Such a reader asks in step 1 whether it sees a row of the topic after
//! its cursor. If it sees none, it has no high-water mark, and reads no rows. If it sees one, it
//! takes steps 2 and 3. The snapshot in which it looks for that row is older than steps 1 and 2,
//! so it may miss a row that was just committed. The next poll finds that row.
//!
//! The locks of the reader's own session do not count, because it sees its own rows. A cursor on the
//! same connection is stored in the same transaction as these rows, so that both are committed or
//! neither is. A cursor on another connection can pass rows that are then rolled back; their positions
//! are not drawn again, so it skips nothing that is committed.
//!
//! The key of a lock has 64 bits: `topic << 32 # sequence << 40 # F`. The topic is a hash of 32
//! bits, the sequence an oid, and `#` the exclusive or, which never overflows. A reader knows the
//! topic and the sequence, so it recovers all of F. Positions can therefore leap by any distance
//! (`setval`) while publishers are active.
//!
//! From the lock of another topic, another sequence, or the application, a reader computes some
//! other number. That number holds the reader back if it is below S, which is true for S of the
//! 2^64 keys. Locks on two topics differ in the upper 32 bits, unless the topics have the same
//! hash. So they are told apart while S is below 2^32. Locks on two sequences differ in the upper
//! 24 bits, unless the lower 24 bits of their oids agree. So they are told apart while S is below
//! 2^40.

use std::iter;

use diesel::pg::Pg;

use crate::error::Error;
use crate::position::Position;
use crate::sql::dialect::Value::{Number, Text};
use crate::sql::dialect::{Statement, Value};
use crate::sql::error::failed_while;
use crate::sql::executor::Asked;
use crate::sql::guard::missing_on;
use crate::sql::hash::hash_of;
use crate::sql::postgres::guard::IS_GUARDED;
use crate::sql::postgres::locks::{self, IS_FENCE, KEY};
use crate::sql::postgres::sequence::{SEQUENCE, Sequence, no_sequence};
use crate::sql::rows::Column;
use crate::sql::schema::{MessageTable, TableSchema};

/// The condition that another session holds the lock. A prepared transaction has no session.
const IS_OF_ANOTHER: &str = "(pid IS NULL
    OR pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid())";

/// Reads the lowest last value that other publishers have announced, if there are any. The value
/// of the statement is the key of the topic.
///
/// Both steps are in one statement. The locks are read for a row of the sequence. OFFSET keeps the
/// subquery of that row whole, so the sequence's last value has been read before the locks.
fn lowest_announced() -> String {
    format!(
        "SELECT pg_catalog.min(announced.last) FROM (
            SELECT {KEY} OPERATOR(pg_catalog.#) ?
                OPERATOR(pg_catalog.#) (sequence.id OPERATOR(pg_catalog.<<) 40) AS last
            FROM pg_catalog.pg_locks
            WHERE {IS_FENCE} AND {IS_OF_ANOTHER}
        ) AS announced
        WHERE announced.last OPERATOR(pg_catalog.>=) 0
            AND announced.last OPERATOR(pg_catalog.<=) sequence.last"
    )
}

/// Reads the position of the last row. The snapshot of the statement is older than the value of the
/// sequence, so this is never above it, unless the sequence was set back or rows were copied
/// without it.
const LAST_ROW: &str = "SELECT pg_catalog.max({id}) FROM {table}";

/// Finds out whether the topic has a row after a position. The values of the statement are the
/// topic, the position, and the topic again.
///
/// The first row in the order of topic and position is one of the topic, or there is none. Only the
/// index of these columns has this order. With `topic = ? AND id > ?`, the planner can choose a
/// scan of the whole table if the topic has most of the rows.
const HAS_ROW: &str = "
    SELECT EXISTS (
        SELECT FROM (
            SELECT {topic} FROM {table}
            WHERE ({topic}, {id}) OPERATOR(pg_catalog.>) (?, ?)
            ORDER BY {topic}, {id} LIMIT 1
        ) AS next
        WHERE next.{topic} OPERATOR(pg_catalog.=) ?
    ) AS has_row";

/// Returns the high-water mark of the topic.
pub(super) async fn high_water_mark<A>(
    asked: &mut A,
    schema: &TableSchema,
    topic: &str,
) -> Result<Position, Error>
where
    A: Asked<Backend = Pg>,
{
    let (lowest_announced, is_guarded) = (lowest_announced(), is_guarded(schema));
    let sql = format!(
        "SELECT sequence.*, ({LAST_ROW}), ({lowest_announced}), 1, {is_guarded}
        FROM ({SEQUENCE} OFFSET 0) AS sequence"
    );
    let values = announced(topic)
        .chain(guarded(schema))
        .chain(of_column(schema));
    let statement = Statement::new(sql, &schema.messages, values);
    let mark = ask(asked, &schema.messages, topic, statement).await;
    mark.map(Option::unwrap_or_default)
}

/// Returns the high-water mark of the topic, or `None` if no row of the topic after the position is
/// visible. In that case, the statement does not read the locks.
pub(super) async fn high_water_mark_beyond<A>(
    asked: &mut A,
    schema: &TableSchema,
    topic: &str,
    after: Position,
) -> Result<Option<Position>, Error>
where
    A: Asked<Backend = Pg>,
{
    let (lowest_announced, is_guarded) = (lowest_announced(), is_guarded(schema));
    let sql = format!(
        "SELECT sequence.*, ({LAST_ROW}), CASE WHEN has_row THEN ({lowest_announced}) END,
            has_row::integer, {is_guarded}
        FROM ({SEQUENCE} OFFSET 0) AS sequence, ({HAS_ROW} OFFSET 0) AS beyond"
    );
    let beyond = [Text(topic), Number(after.get()), Text(topic)];
    let values = announced(topic)
        .chain(guarded(schema))
        .chain(of_column(schema));
    let statement = Statement::new(sql, &schema.messages, values.chain(beyond));
    ask(asked, &schema.messages, topic, statement).await
}

/// Returns the expression for whether the table has its guard, if it must have one.
fn is_guarded(schema: &TableSchema) -> &'static str {
    if schema.has_foreign_inserts {
        IS_GUARDED
    } else {
        "1"
    }
}

/// Returns the values of `lowest_announced`.
fn announced<'a>(topic: &str) -> impl Iterator<Item = Value<'a>> {
    iter::once(Number(key_of(topic)))
}

/// Returns the values of `is_guarded`.
fn guarded(schema: &TableSchema) -> impl Iterator<Item = Value<'_>> {
    let table = &*schema.messages.table;
    schema
        .has_foreign_inserts
        .then_some(Text(table))
        .into_iter()
}

/// Returns the values of `SEQUENCE`.
fn of_column(schema: &TableSchema) -> impl Iterator<Item = Value<'_>> {
    let table = &schema.messages;
    [Text(&table.table), Text(&table.id)].into_iter()
}

async fn ask<A>(
    asked: &mut A,
    table: &MessageTable,
    topic: &str,
    statement: Statement<'_>,
) -> Result<Option<Position>, Error>
where
    A: Asked<Backend = Pg>,
{
    let doing = || format!("reading the high-water mark of topic \"{topic}\"");
    let looked = asked.first_row(statement, |columns: &mut [Column<'_, Pg>; 13]| {
        let [columns @ .., last_row, announced, has_row, is_guarded] = columns;
        Ok(Looked {
            sequence: Sequence::read(columns)?,
            last_row: last_row.optional_integer("id")?,
            announced: announced.optional_integer("objid")?,
            has_row: has_row.integer("topic")? != 0,
            is_guarded: is_guarded.integer("pg_trigger")? != 0,
        })
    });
    let looked = looked.await;
    let looked = looked.map_err(|cause| failed_while(doing(), cause))?;
    let looked = looked.ok_or_else(|| no_sequence(table, doing()))?;
    let sequence = &looked.sequence;
    let problem = sequence
        .problem(table)
        .or_else(|| sequence.is_below(looked.last_row, table))
        .or_else(|| (!looked.is_guarded).then(|| missing_on(table)));
    if let Some(problem) = problem {
        return Err(Error::permanent(doing(), problem));
    }
    if !sequence.session_sees_locks {
        locks::check(asked).await?;
    }
    let mark = Position::new(looked.announced.unwrap_or(sequence.last));
    Ok(looked.has_row.then_some(mark))
}

/// The values that a reader needs for the high-water mark.
struct Looked {
    sequence: Sequence,
    last_row: Option<i64>,
    announced: Option<i64>,
    /// Whether the topic has a row after the position.
    has_row: bool,
    is_guarded: bool,
}

/// Returns the part of a lock's key that stands for a topic: its hash, in the upper half.
pub(super) fn key_of(topic: &str) -> i64 {
    i64::from(hash_of(topic)) << 32
}
