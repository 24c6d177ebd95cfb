//! How readers know what can still be committed.
//!
//! A publisher reads the last value F of the positions' sequence, takes a shared advisory lock that
//! says the topic, the sequence and F, and only then draws its positions, which are larger than F. The
//! lock ends with its transaction.
//!
//! A reader takes three steps, one after the other:
//!
//! 1. the sequence's last value S;
//! 2. the lowest F among the locks on the topic and the sequence: the horizon is min(S, F);
//! 3. in a snapshot that is made after that, the rows up to the horizon.
//!
//! The first two look at what is there at that moment, and not at a snapshot.
//!
//! Whoever drew a position up to S held its lock before that. So in step 2 it is either seen, and
//! the horizon stays below its positions, or has ended, and step 3 sees what it committed.
//!
//! The key of a lock has 64 bits: `topic << 32 # sequence << 40 # F`. The topic is a hash of 32 bits, the
//! sequence an oid, and `#` the exclusive or, which never overflows. A reader knows topic and sequence, and so
//! gets F back, all of it: positions may leap by any distance (`setval`) while publishers are at work.
//!
//! From the lock of another topic or sequence, or of the application, a reader gets some other number, and is
//! held back by it if that is below S: by S of the 2^64 keys. Locks on two topics differ in the upper 32 bits,
//! unless the topics have the same hash, and so are told apart while S is below 2^32; those on two sequences
//! differ in the upper 24 bits, unless their oids agree in the lower ones, and are told apart below 2^40.

use std::iter;

use diesel::connection::LoadConnection;
use diesel::pg::Pg;

use crate::diesel::MessageTable;
use crate::diesel::error::failed_while;
use crate::diesel::rows::{BrokenColumn, Column, first_row};
use crate::diesel::statement::Statement;
use crate::diesel::statement::Value::{Number, Text};
use crate::{Error, Position};

/// The sequence, with all that a reader has to know of it, and of where it reads.
const SEQUENCE: &str = "
    SELECT coalesce(pg_sequence_last_value(seqrelid), 0) AS last, seqrelid::bigint AS id, seqcache,
        seqincrement, pg_is_in_recovery()::integer, current_setting('transaction_isolation'),
        has_sequence_privilege(seqrelid, 'USAGE, SELECT')::integer
    FROM pg_sequence
    WHERE seqrelid = pg_get_serial_sequence(quote_ident(?), ?)::regclass";

/// The lowest last value that publishers at work have announced, if there are any. The value: the key of
/// the topic.
///
/// Both steps are in one statement: the locks are looked at for a row of the sequence, which OFFSET keeps
/// whole, so that its last value has been read before.
const LOWEST_ANNOUNCED: &str = "
    SELECT min(announced.last) FROM (
        SELECT (classid::bigint << 32 | objid::bigint) # ? # (sequence.id << 40) AS last
        FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 1
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    ) AS announced
    WHERE announced.last BETWEEN 0 AND sequence.last";

/// What is read of the sequence.
#[derive(Debug)]
struct Sequence {
    last: i64,
    cache: i64,
    increment: i64,
    on_standby: bool,
    isolation: String,
    is_readable: bool,
}

pub(super) fn horizon<C>(
    connection: &mut C,
    table: &MessageTable,
    topic: &str,
) -> Result<Position, Error>
where
    C: LoadConnection<Backend = Pg>,
{
    let doing = || format!("looking how far topic \"{topic}\" can be read");
    let sql =
        format!("SELECT sequence.*, ({LOWEST_ANNOUNCED}) FROM ({SEQUENCE} OFFSET 0) AS sequence");
    let of_column = [Text(&table.table), Text(&table.id)];
    let values = iter::once(Number(key_of(topic))).chain(of_column);
    let looked = first_row(
        connection,
        Statement::new(sql, table, values),
        |columns: &mut [Column<'_, Pg>; 8]| {
            let [columns @ .., announced] = columns;
            let sequence = Sequence::read(columns)?;
            Ok((sequence, announced.optional_integer("objid")?))
        },
    );
    let looked = looked.map_err(|cause| failed_while(doing(), cause))?;
    let (sequence, announced) = looked.ok_or_else(|| no_sequence(table, doing()))?;
    match sequence.problem() {
        Some(problem) => Err(Error::repository(doing(), problem, false)),
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

fn no_sequence(table: &MessageTable, doing: String) -> Error {
    let problem = format!(
        "the column \"{}\" of table \"{}\" has no sequence of its own: it has to be an identity or a \
         serial column",
        table.id, table.table
    );
    Error::repository(doing, problem, false)
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

    /// Why messages cannot be read, if so.
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
                "this role may not read the sequence of the positions: GRANT USAGE ON \
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
        // Also outside of Diesel's transactions: there may be one that Diesel does not know of.
        (!self.isolation.starts_with("read")).then(|| {
            format!(
                "a transaction in {} does not see what others commit meanwhile: read messages in a \
                 session whose transactions are READ COMMITTED",
                self.isolation.to_uppercase()
            )
        })
    }
}

/// What stands for a topic in the keys of locks: its hash, in the upper half.
pub(super) fn key_of(topic: &str) -> i64 {
    i64::from(hash_of(topic)) << 32
}

/// FNV-1a, which is the same in every version of this library: publishers and readers have to agree.
pub(super) fn hash_of(topic: &str) -> u32 {
    topic.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}
