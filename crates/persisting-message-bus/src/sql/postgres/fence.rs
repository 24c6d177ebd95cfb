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

use diesel::connection::LoadConnection;
use diesel::pg::Pg;

use crate::error::Error;
use crate::position::Position;
use crate::sql::dialect::Statement;
use crate::sql::dialect::Value::{Number, Text};
use crate::sql::error::failed_while;
use crate::sql::guard::missing_on;
use crate::sql::hash::hash_of;
use crate::sql::postgres::guard::IS_GUARDED;
use crate::sql::rows::{BrokenColumn, Column, first_row};
use crate::sql::schema::{MessageTable, TableSchema};

/// Reads the sequence, with everything that a reader must know about it and about the session.
const SEQUENCE: &str = "
    SELECT coalesce(pg_sequence_last_value(seqrelid), 0) AS last, seqrelid::bigint AS id, seqcache,
        seqincrement, pg_is_in_recovery()::integer, current_setting('transaction_isolation'),
        has_sequence_privilege(seqrelid, 'USAGE, SELECT')::integer
    FROM pg_sequence
    WHERE seqrelid = pg_get_serial_sequence(quote_ident(?), ?)::regclass";

/// Reads the lowest last value that active publishers have announced, if there are any. The value
/// of the statement is the key of the topic.
///
/// Both steps are in one statement. The locks are read for a row of the sequence. OFFSET keeps the
/// subquery of that row whole, so the sequence's last value has been read before the locks.
const LOWEST_ANNOUNCED: &str = "
    SELECT min(announced.last) FROM (
        SELECT (classid::bigint << 32 | objid::bigint) # ? # (sequence.id << 40) AS last
        FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 1
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    ) AS announced
    WHERE announced.last BETWEEN 0 AND sequence.last";

/// Reads the position of the last row. The snapshot of the statement is older than the value of the
/// sequence, so this is never above it, unless the sequence was set back or rows were copied
/// without it.
const LAST_ROW: &str = "SELECT max({id}) FROM {table}";

/// The values that are read of the sequence.
#[derive(Debug)]
struct Sequence {
    last: i64,
    cache: i64,
    increment: i64,
    on_standby: bool,
    isolation: String,
    is_readable: bool,
}

/// The values that a reader needs for the high-water mark.
struct Looked {
    sequence: Sequence,
    announced: Option<i64>,
    last_row: Option<i64>,
    is_guarded: bool,
}

pub(super) fn high_water_mark<C>(
    connection: &mut C,
    schema: &TableSchema,
    topic: &str,
) -> Result<Position, Error>
where
    C: LoadConnection<Backend = Pg>,
{
    let table = &schema.messages;
    let doing = || format!("reading the high-water mark of topic \"{topic}\"");
    let is_guarded = if schema.foreign_inserts {
        IS_GUARDED
    } else {
        "1"
    };
    let sql = format!(
        "SELECT sequence.*, ({LOWEST_ANNOUNCED}), ({LAST_ROW}), {is_guarded}
        FROM ({SEQUENCE} OFFSET 0) AS sequence"
    );
    let guarded_table = schema.foreign_inserts.then_some(Text(&table.table));
    let values = iter::once(Number(key_of(topic)))
        .chain(guarded_table)
        .chain([Text(&table.table), Text(&table.id)]);
    let looked = first_row(
        connection,
        Statement::new(sql, table, values),
        |columns: &mut [Column<'_, Pg>; 10]| {
            let [columns @ .., announced, last_row, is_guarded] = columns;
            Ok(Looked {
                sequence: Sequence::read(columns)?,
                announced: announced.optional_integer("objid")?,
                last_row: last_row.optional_integer("id")?,
                is_guarded: is_guarded.integer("pg_trigger")? != 0,
            })
        },
    );
    let looked = looked.map_err(|cause| failed_while(doing(), cause))?;
    let looked = looked.ok_or_else(|| no_sequence(table, doing()))?;
    let Looked {
        sequence,
        announced,
        ..
    } = &looked;
    let problem = sequence
        .problem()
        .or_else(|| sequence.is_below(looked.last_row, table))
        .or_else(|| (!looked.is_guarded).then(|| missing_on(table)));
    match problem {
        Some(problem) => Err(Error::permanent(doing(), problem)),
        None => Ok(Position::new(announced.unwrap_or(sequence.last))),
    }
}

pub(super) fn last_position<C>(connection: &mut C, table: &MessageTable) -> Result<Position, Error>
where
    C: LoadConnection<Backend = Pg>,
{
    let doing = || format!("reading the last position of table \"{}\"", table.table);
    let of_column = [Text(&table.table), Text(&table.id)];
    let statement = Statement::new(SEQUENCE, table, of_column);
    let sequence = first_row(connection, statement, Sequence::read);
    let sequence = sequence.map_err(|cause| failed_while(doing(), cause))?;
    let sequence = sequence.ok_or_else(|| no_sequence(table, doing()))?;
    Ok(Position::new(sequence.last))
}

/// Returns what to do if the sequence is below the rows of the table.
pub(super) fn set_sequence(table: &MessageTable) -> String {
    let name = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let (table, id) = (name(&table.table), &*table.id);
    format!(
        "rows were copied without their sequence, or it was set back: SELECT \
         setval(pg_get_serial_sequence({}, {}), max({})) FROM {table}",
        text(&table),
        text(id),
        name(id)
    )
}

fn no_sequence(table: &MessageTable, doing: String) -> Error {
    let problem = format!(
        "the column \"{}\" of table \"{}\" has no sequence of its own; make it an identity or a serial \
         column",
        table.id, table.table
    );
    Error::permanent(doing, problem)
}

impl Sequence {
    fn read(columns: &mut [Column<'_, Pg>; 7]) -> Result<Self, BrokenColumn> {
        let [
            last,
            _id,
            cache,
            increment,
            on_standby,
            isolation,
            is_readable,
        ] = columns;
        Ok(Self {
            last: last.integer("last_value")?,
            cache: cache.integer("seqcache")?,
            increment: increment.integer("seqincrement")?,
            on_standby: on_standby.integer("pg_is_in_recovery")? != 0,
            isolation: isolation.text("transaction_isolation")?.to_owned(),
            is_readable: is_readable.integer("has_sequence_privilege")? != 0,
        })
    }

    /// Returns the problem of a sequence that is below a row. Readers would not see the rows above
    /// it, and publishers would assign their positions again.
    fn is_below(&self, last_row: Option<i64>, table: &MessageTable) -> Option<String> {
        let last_row = last_row.filter(|last_row| *last_row > self.last)?;
        Some(format!(
            "the sequence of the positions is at {}, but there is a message at position {last_row}; \
             {}",
            self.last,
            set_sequence(table)
        ))
    }

    /// Returns the reason why messages cannot be read, if there is one.
    fn problem(&self) -> Option<String> {
        if self.on_standby {
            return Some(
                "this server is a standby, which does not see the locks of the primary's \
                 publishers: read from the primary"
                    .to_owned(),
            );
        }
        if !self.is_readable {
            return Some(
                "this role cannot read the sequence of the positions: GRANT USAGE ON \
                         SEQUENCE ... TO ..."
                    .to_owned(),
            );
        }
        if self.cache != 1 || self.increment < 1 {
            return Some(format!(
                "the sequence of the positions has CACHE {} and INCREMENT {}, so that positions \
                 are not drawn in ascending order: ALTER SEQUENCE ... CACHE 1 INCREMENT 1",
                self.cache, self.increment
            ));
        }
        // The check also runs outside of Diesel's transactions, because there may be a transaction
        // that Diesel does not know of.
        (!self.isolation.starts_with("read")).then(|| {
            format!(
                "a transaction in {} does not see concurrent commits: read messages in a session \
                 whose transactions are READ COMMITTED",
                self.isolation.to_uppercase()
            )
        })
    }
}

/// Returns the part of a lock's key that stands for a topic: its hash, in the upper half.
pub(super) fn key_of(topic: &str) -> i64 {
    i64::from(hash_of(topic)) << 32
}
