//! The sequence of the positions.

use diesel::connection::LoadConnection;
use diesel::pg::Pg;

use crate::error::Error;
use crate::position::Position;
use crate::sql::dialect::Statement;
use crate::sql::dialect::Value::Text;
use crate::sql::error::failed_while;
use crate::sql::postgres::quoting::{quoted, quoted_text};
use crate::sql::rows::{BrokenColumn, Column, first_row};
use crate::sql::schema::MessageTable;

/// Reads the sequence, with everything that a reader must know about it and about the session. The
/// values of the statement are the table and its column of positions.
///
/// Here and in the statements of publishers, everything of the server's is named with its schema,
/// because a session can find other tables, functions and operators of the same name first. The
/// keywords `bigint` and `integer` always mean the server's types.
pub(super) const SEQUENCE: &str = "
    SELECT coalesce(pg_catalog.pg_sequence_last_value(seqrelid), 0) AS last,
        seqrelid::bigint AS id, seqcache, seqincrement, pg_catalog.pg_is_in_recovery()::integer,
        pg_catalog.current_setting('transaction_isolation'),
        pg_catalog.has_sequence_privilege(seqrelid, 'USAGE, SELECT')::integer,
        (pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0 AND EXISTS (
            SELECT FROM pg_catalog.pg_class WHERE pg_class.oid OPERATOR(pg_catalog.=) seqrelid
                AND relpersistence OPERATOR(pg_catalog.=) 't'
        ))::integer,
        (pg_catalog.current_setting('persisting_message_bus.sees_locks', true) IS NOT NULL)::integer
    FROM pg_catalog.pg_sequence
    WHERE seqrelid OPERATOR(pg_catalog.=)
        pg_catalog.pg_get_serial_sequence(pg_catalog.quote_ident(?), ?)::pg_catalog.regclass";

/// The values that are read of the sequence.
#[derive(Debug)]
pub(super) struct Sequence {
    pub(super) last: i64,
    cache: i64,
    increment: i64,
    on_standby: bool,
    isolation: String,
    is_readable: bool,
    is_temporary: bool,
    /// Whether it is known that the session sees its own locks.
    pub(super) session_sees_locks: bool,
}

pub(super) fn last_position<C>(connection: &mut C, table: &MessageTable) -> Result<Position, Error>
where
    C: LoadConnection<Backend = Pg> + 'static,
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
    let (table, id) = (quoted(&table.table), &*table.id);
    format!(
        "rows were copied without their sequence, or it was set back: SELECT \
         setval(pg_get_serial_sequence({}, {}), max({})) FROM {table}",
        quoted_text(&table),
        quoted_text(id),
        quoted(id)
    )
}

/// Returns what is wrong with a temporary table.
pub(super) fn temporary(table: &MessageTable) -> String {
    format!(
        "\"{0}\" is a temporary table of this session, which no other session sees: drop it (DROP TABLE \
         pg_temp.\"{0}\"), or give it another name",
        table.table
    )
}

pub(super) fn no_sequence(table: &MessageTable, doing: String) -> Error {
    let problem = format!(
        "the column \"{}\" of table \"{}\" has no sequence of its own; make it an identity or a serial \
         column",
        table.id, table.table
    );
    Error::permanent(doing, problem)
}

impl Sequence {
    pub(super) fn read(columns: &mut [Column<'_, Pg>; 9]) -> Result<Self, BrokenColumn> {
        let [
            last,
            _id,
            cache,
            increment,
            on_standby,
            isolation,
            is_readable,
            is_temporary,
            sees_locks,
        ] = columns;
        Ok(Self {
            last: last.integer("last_value")?,
            cache: cache.integer("seqcache")?,
            increment: increment.integer("seqincrement")?,
            on_standby: on_standby.integer("pg_is_in_recovery")? != 0,
            isolation: isolation.text("transaction_isolation")?.to_owned(),
            is_readable: is_readable.integer("has_sequence_privilege")? != 0,
            is_temporary: is_temporary.integer("relpersistence")? != 0,
            session_sees_locks: sees_locks.integer("sees_locks")? != 0,
        })
    }

    /// Returns the problem of a sequence that is below a row. Readers would not see the rows above
    /// it, and publishers would assign their positions again.
    pub(super) fn is_below(&self, last_row: Option<i64>, table: &MessageTable) -> Option<String> {
        let last_row = last_row.filter(|last_row| *last_row > self.last)?;
        Some(format!(
            "the sequence of the positions is at {}, but there is a message at position {last_row}; \
             {}",
            self.last,
            set_sequence(table)
        ))
    }

    /// Returns the reason why messages cannot be read, if there is one.
    pub(super) fn problem(&self, table: &MessageTable) -> Option<String> {
        if self.on_standby {
            return Some(
                "this server is a standby, which does not see the locks of the primary's \
                 publishers: read from the primary"
                    .to_owned(),
            );
        }
        if self.is_temporary {
            return Some(temporary(table));
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
