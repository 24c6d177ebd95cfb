//! A message in a transaction of its own, without what it costs to look for the sequence of the positions
//! each time, and to remember locks.
//!
//! The sequence has the name that PostgreSQL gives it, as a constant of the statement. That name may find
//! another one: of another schema in the `search_path`, or one that belongs to no table. So the statement
//! inserts nothing in a session that was not told that this sequence is that of this table: `InsertOne`,
//! which asks PostgreSQL, then inserts the message and tells the session what it has found. And the position
//! has to be the last one that the session drew from the sequence, because the column may have been given
//! another one since the session was told.
//!
//! The session is told because all else costs every message more. Counted were the instructions of the
//! server for one: 149,500 without either question, 153,000 with the setting; 165,500 where the last value
//! that the lock was taken with is carried on to RETURNING in a CTE, so that a position at or below it is
//! refused; 166,000 where PostgreSQL is asked whose the sequence is.

use std::borrow::Cow;

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::{DatabaseErrorKind, Error as DieselError, QueryResult};
use diesel::sql_types::BigInt;

use super::fence::key_of;
use super::new_row::NewRow;
use crate::RawMessage;
use crate::diesel::MessageTable;
use crate::diesel::class::class_of_cause;
use crate::error::class::Class;

/// Those of the default table.
const DEFAULT_NAMES: Names<'_> = Names {
    table: Cow::Borrowed("'public_messages'::regclass"),
    sequence: Cow::Borrowed("'public_messages_id_seq'::regclass"),
};

/// Inserts a message in a transaction of its own, which is this statement; or nothing, in a session that
/// does not know the table's sequence yet, and in a transaction that has written something before, and that
/// Diesel does not know of. There, as the first to write, it is one that a duplicate ends.
///
/// The row is made after the condition was checked, and its position is drawn with it: after the fence. The
/// last value is read before the lock is taken, because it is an argument of the lock. If the position was
/// drawn from another sequence, the statement divides by zero, and nothing is inserted.
pub(super) struct InsertSingle<'a, const BY_DEFAULT: bool> {
    row: NewRow<'a>,
    topic: i64,
}

impl<'a, const BY_DEFAULT: bool> InsertSingle<'a, BY_DEFAULT> {
    pub(super) fn new(table: &'a MessageTable, message: &'a RawMessage) -> Self {
        Self {
            row: NewRow::new(table, message),
            topic: key_of(&message.topic),
        }
    }
}

impl<const BY_DEFAULT: bool> QueryFragment<Pg> for InsertSingle<'_, BY_DEFAULT> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let Names { table, sequence } = if BY_DEFAULT {
            DEFAULT_NAMES
        } else {
            Names::of(self.row.table)
        };
        self.row.push_insert(&mut out)?;
        out.push_sql(" WHERE pg_current_xact_id_if_assigned() IS NULL AND ");
        // All but the setting's value is known when the statement is planned.
        out.push_sql("current_setting('persisting_message_bus.table_of_' || ");
        out.push_sql(&sequence);
        out.push_sql("::oid::text, true) = ");
        out.push_sql(&table);
        out.push_sql("::oid::text AND pg_advisory_xact_lock_shared(");
        out.push_bind_param::<BigInt, i64>(&self.topic)?;
        out.push_sql(" # (");
        out.push_sql(&sequence);
        out.push_sql("::oid::bigint << 40) # coalesce(pg_sequence_last_value(");
        out.push_sql(&sequence);
        out.push_sql("), 0)) IS NOT NULL RETURNING 1 / (");
        out.push_identifier(&self.row.table.id)?;
        out.push_sql(" = currval(");
        out.push_sql(&sequence);
        out.push_sql("))::integer");
        Ok(())
    }
}

impl<const BY_DEFAULT: bool> QueryId for InsertSingle<'_, BY_DEFAULT> {
    type QueryId = InsertSingle<'static, BY_DEFAULT>;
    const HAS_STATIC_QUERY_ID: bool = BY_DEFAULT;
}

/// A table, and the sequence that has the name of one of an identity or serial column: constants, that are
/// looked up when the statement is prepared, and again when the `search_path` has changed.
struct Names<'a> {
    table: Cow<'a, str>,
    sequence: Cow<'a, str>,
}

impl Names<'_> {
    fn of(table: &MessageTable) -> Self {
        let sequence = format!("{}_{}_seq", table.table, table.id);
        Self {
            table: Cow::Owned(by_name(&table.table)),
            sequence: Cow::Owned(by_name(&sequence)),
        }
    }
}

fn by_name(name: &str) -> String {
    let identifier = format!("\"{}\"", name.replace('"', "\"\""));
    let literal = identifier.replace('\\', r"\\").replace('\'', "''");
    format!("E'{literal}'::regclass")
}

/// Whether the statement may have failed because of how it is written: `InsertOne` is another way, or says
/// better what is wrong.
pub(super) fn is_refused(cause: &DieselError) -> bool {
    let is_unknown = matches!(
        cause,
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, _)
    );
    is_unknown && matches!(class_of_cause(cause), Class::Refused | Class::Lasting)
}
