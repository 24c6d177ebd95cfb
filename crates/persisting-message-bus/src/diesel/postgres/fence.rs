//! How readers know what can still be committed.
//!
//! A publisher reads the last value F of the positions' sequence, takes a shared advisory lock that
//! says the topic and F, and only then draws its positions, which are larger than F. The lock ends
//! with its transaction.
//!
//! A reader takes three steps, none of which may share a snapshot with another:
//!
//! 1. the sequence's last value S;
//! 2. the lowest F among the locks on the topic: the horizon is min(S, F);
//! 3. in a snapshot of its own, the rows up to the horizon.
//!
//! Whoever drew a position up to S held its lock before that. So in step 2 it is either seen, and
//! the horizon stays below its positions, or has ended, and step 3 sees what it committed.
//!
//! A lock has room for the low 31 bits of F. What looks less than 2^30 positions behind S is behind
//! it; the others drew their positions after step 1.

use diesel::connection::LoadConnection;
use diesel::pg::Pg;

use crate::diesel::MessageTable;
use crate::diesel::error::failed_while;
use crate::diesel::rows::first_row;
use crate::diesel::statement::Statement;
use crate::diesel::statement::Value::{Number, Text};
use crate::{Error, Position};

/// The sequence, with all that a reader has to know of it, and of where it reads.
const SEQUENCE: &str = "
    SELECT coalesce(pg_sequence_last_value(seqrelid), 0), seqrelid::bigint, seqcache,
        seqincrement, pg_is_in_recovery()::integer, current_setting('transaction_isolation'),
        has_sequence_privilege(seqrelid, 'USAGE, SELECT')::integer
    FROM pg_sequence
    WHERE seqrelid = pg_get_serial_sequence(quote_ident(?), ?)::regclass";

/// How far behind S the earliest publisher at work is, if there is one. The values: S, the class of
/// the topic's locks, S.
const FARTHEST_BEHIND: &str = "
    SELECT max((? - objid::bigint) & 2147483647)
    FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 2 AND classid::bigint = ?
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (? - objid::bigint) & 2147483647 < 1073741824";

/// What is read of the sequence.
#[derive(Debug)]
pub(super) struct Sequence {
    pub(super) last: i64,
    id: i64,
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
    let sequence = sequence(connection, table, &doing)?;
    if let Some(problem) = sequence.problem() {
        return Err(Error::repository(doing(), problem, false));
    }
    let last = sequence.last;
    let class = i64::from(class_of(topic, sequence.id));
    let values = [last, class, last].map(Number);
    let behind = first_row(
        connection,
        Statement::new(FARTHEST_BEHIND, table, values),
        |[behind]| behind.optional_integer("objid"),
    );
    let behind = behind.map_err(|cause| failed_while(doing(), cause))?;
    Ok(Position::new(last - behind.flatten().unwrap_or(0)))
}

pub(super) fn sequence<C>(
    connection: &mut C,
    table: &MessageTable,
    doing: &dyn Fn() -> String,
) -> Result<Sequence, Error>
where
    C: LoadConnection<Backend = Pg>,
{
    let values = [Text(&table.table), Text(&table.id)];
    let sequence = first_row(
        connection,
        Statement::new(SEQUENCE, table, values),
        |[
            last,
            id,
            cache,
            increment,
            on_standby,
            isolation,
            is_readable,
        ]| {
            Ok(Sequence {
                last: last.integer("last_value")?,
                id: id.integer("seqrelid")?,
                cache: cache.integer("seqcache")?,
                increment: increment.integer("seqincrement")?,
                on_standby: on_standby.integer("pg_is_in_recovery")? != 0,
                isolation: isolation.text("transaction_isolation")?.to_owned(),
                is_readable: is_readable.integer("has_sequence_privilege")? != 0,
            })
        },
    );
    let sequence = sequence.map_err(|cause| failed_while(doing(), cause))?;
    sequence.ok_or_else(|| {
        let problem = format!(
            "the column \"{}\" of table \"{}\" has no sequence of its own: it has to be an \
             identity or a serial column",
            table.id, table.table
        );
        Error::repository(doing(), problem, false)
    })
}

impl Sequence {
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

/// The class of the locks of a topic's publishers.
fn class_of(topic: &str, sequence: i64) -> u32 {
    // The object ids of databases have 32 bits.
    let sequence = u32::try_from(sequence).unwrap_or_default();
    hash_of(topic) ^ sequence
}

/// FNV-1a, which is the same in every version of this library: publishers and readers have to agree.
pub(super) fn hash_of(topic: &str) -> u32 {
    topic.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}
