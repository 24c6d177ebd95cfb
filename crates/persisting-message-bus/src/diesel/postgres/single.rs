//! A message in a transaction of its own, without what it costs to look for the sequence of the positions
//! each time, and to remember locks.

use std::borrow::Cow;

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::{DatabaseErrorKind, Error as DieselError, QueryResult};
use diesel::sql_types::Integer;

use super::fence::hash_of;
use super::new_row::NewRow;
use crate::RawMessage;
use crate::diesel::MessageTable;
use crate::diesel::class::class_of_cause;
use crate::error::class::Class;

const FENCE: &str =
    " WHERE pg_current_xact_id_if_assigned() IS NULL AND pg_advisory_xact_lock_shared(";

/// That of the default table.
const DEFAULT_SEQUENCE: &str = "'public_messages_id_seq'::regclass";

/// Inserts a message in a transaction of its own, which is this statement; or nothing, in a transaction
/// that has written something before, and that Diesel does not know of. There, as the first to write, it is
/// one that a duplicate ends.
///
/// The sequence has the name that PostgreSQL gives it, as a constant of the statement. Whether it is the
/// one that the position was drawn from is asked behind that: if not, the statement divides by zero, and
/// nothing is inserted. `InsertOne` finds any sequence.
///
/// The row is made behind the condition, and its position is drawn with it: behind the fence. The last
/// value is read before the lock is taken, because it is an argument of the lock.
pub(super) struct InsertSingle<'a, const BY_DEFAULT: bool> {
    row: NewRow<'a>,
    hash: i32,
}

impl<'a, const BY_DEFAULT: bool> InsertSingle<'a, BY_DEFAULT> {
    pub(super) fn new(table: &'a MessageTable, message: &'a RawMessage) -> Self {
        Self {
            row: NewRow::new(table, message),
            hash: hash_of(&message.topic).cast_signed(),
        }
    }
}

impl<const BY_DEFAULT: bool> QueryFragment<Pg> for InsertSingle<'_, BY_DEFAULT> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let sequence = if BY_DEFAULT {
            Cow::Borrowed(DEFAULT_SEQUENCE)
        } else {
            Cow::Owned(sequence_by_name(self.row.table))
        };
        self.row.push_insert(&mut out)?;
        out.push_sql(FENCE);
        out.push_bind_param::<Integer, i32>(&self.hash)?;
        out.push_sql(" # ");
        out.push_sql(&sequence);
        out.push_sql("::integer, (coalesce(pg_sequence_last_value(");
        out.push_sql(&sequence);
        out.push_sql("), 0) & 2147483647)::integer) IS NOT NULL RETURNING 1 / (");
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

/// The name of the sequence of an identity or serial column, as a constant that is looked up when the
/// statement is prepared.
fn sequence_by_name(table: &MessageTable) -> String {
    let name = format!("{}_{}_seq", table.table, table.id);
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
