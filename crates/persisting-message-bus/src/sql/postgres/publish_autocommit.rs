//! Inserts a message in a transaction of its own, without two costs: looking up the sequence of the
//! positions each time, and remembering locks.
//!
//! The name of the sequence is the one that PostgreSQL gives it, as a constant of the statement.
//! That name may find another sequence: one of another schema in the `search_path`, or one that
//! belongs to no table. So the statement inserts nothing in a session that was not told that this
//! sequence belongs to this table. `InsertOne`, which asks PostgreSQL, then inserts the message and
//! tells the session the result. The position must also be the last one that the session drew from
//! the sequence, because the column may have been given another sequence since the session was
//! told.
//!
//! The session is told because every alternative costs each message more. These are the
//! instructions of the server for one message:
//!
//! - 149,500 with neither check;
//! - 153,000 with the setting;
//! - 165,500 if a CTE carries the last value, with which the lock was taken, on to RETURNING, so
//!   that a position at or below it is refused;
//! - 166,000 if PostgreSQL is asked which table the sequence belongs to.

use std::borrow::Cow;

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::{DatabaseErrorKind, Error as DieselError, QueryResult};
use diesel::sql_types::BigInt;

use crate::classify::chain::class_of_cause;
use crate::error::class::Class;
use crate::message::raw::RawMessage;
use crate::sql::executor::Executor;
use crate::sql::postgres::fence::key_of;
use crate::sql::postgres::quoting::{quoted, quoted_text};
use crate::sql::postgres::row_writer::NewRow;
use crate::sql::schema::{MessageTable, TableSchema};

/// The names of the default table.
const DEFAULT_NAMES: Names<'_> = Names {
    table: Cow::Borrowed("'public_messages'::pg_catalog.regclass"),
    sequence: Cow::Borrowed("'public_messages_id_seq'::pg_catalog.regclass"),
};

/// Inserts a message in a transaction of its own, which is this statement. It inserts nothing in a
/// session that does not know the table's sequence yet. It also inserts nothing in a transaction
/// that Diesel does not know of and that has written something before. If it is the first statement
/// of such a transaction that writes, a duplicate ends that transaction.
///
/// The row is made after the condition was checked, and its position is drawn with the row, so
/// after the fence. The last value is read before the lock is taken, because it is an argument of
/// the lock. If the position was drawn from another sequence, the statement divides by zero and
/// inserts nothing.
///
/// With `IS_GUARDED`, it remembers the lock in the transaction's setting, as `InsertOne` does, so that
/// the trigger of `guard.rs` does not take the lock again.
pub(super) struct InsertSingle<'a, const HAS_STATIC_ID: bool, const IS_GUARDED: bool> {
    row: NewRow<'a>,
    topic: i64,
}

impl<'a, const HAS_STATIC_ID: bool, const IS_GUARDED: bool>
    InsertSingle<'a, HAS_STATIC_ID, IS_GUARDED>
{
    pub(super) fn new(table: &'a MessageTable, message: &'a RawMessage) -> Self {
        Self {
            row: NewRow::new(table, message),
            topic: key_of(&message.topic),
        }
    }
}

impl<const HAS_STATIC_ID: bool, const IS_GUARDED: bool> QueryFragment<Pg>
    for InsertSingle<'_, HAS_STATIC_ID, IS_GUARDED>
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let Names { table, sequence } = if HAS_STATIC_ID {
            DEFAULT_NAMES
        } else {
            Names::of(self.row.table)
        };
        self.row.push_insert(None, &mut out)?;
        out.push_sql(" WHERE pg_catalog.pg_current_xact_id_if_assigned() IS NULL AND ");
        // Everything except the setting's value is known when the statement is planned.
        out.push_sql("pg_catalog.current_setting(");
        out.push_sql("'persisting_message_bus.table_of_' OPERATOR(pg_catalog.||) ");
        out.push_sql(&sequence);
        out.push_sql("::pg_catalog.oid::pg_catalog.text, true) OPERATOR(pg_catalog.=) ");
        out.push_sql(&table);
        out.push_sql("::pg_catalog.oid::pg_catalog.text");
        out.push_sql(" AND pg_catalog.pg_advisory_xact_lock_shared(");
        out.push_bind_param::<BigInt, i64>(&self.topic)?;
        out.push_sql(" OPERATOR(pg_catalog.#) (");
        out.push_sql(&sequence);
        out.push_sql("::pg_catalog.oid::bigint OPERATOR(pg_catalog.<<) 40)");
        out.push_sql(" OPERATOR(pg_catalog.#) coalesce(pg_catalog.pg_sequence_last_value(");
        out.push_sql(&sequence);
        out.push_sql("), 0)) IS NOT NULL");
        if IS_GUARDED {
            out.push_sql(" AND pg_catalog.set_config('persisting_message_bus.fence_'");
            out.push_sql(" OPERATOR(pg_catalog.||) pg_catalog.to_hex(");
            out.push_bind_param::<BigInt, i64>(&self.topic)?;
            out.push_sql(" OPERATOR(pg_catalog.#) ");
            out.push_sql(&sequence);
            out.push_sql("::pg_catalog.oid::bigint), 'held', true) IS NOT NULL");
        }
        out.push_sql(" RETURNING 1 OPERATOR(pg_catalog./) (");
        out.push_identifier(&self.row.table.id)?;
        out.push_sql(" OPERATOR(pg_catalog.=) pg_catalog.currval(");
        out.push_sql(&sequence);
        out.push_sql("))::integer");
        Ok(())
    }
}

impl<const HAS_STATIC_ID: bool, const IS_GUARDED: bool> QueryId
    for InsertSingle<'_, HAS_STATIC_ID, IS_GUARDED>
{
    type QueryId = InsertSingle<'static, HAS_STATIC_ID, IS_GUARDED>;
    const HAS_STATIC_QUERY_ID: bool = HAS_STATIC_ID;
}

/// A table, and the sequence with the name that PostgreSQL gives the sequence of an identity or
/// serial column. Both are constants. PostgreSQL looks them up when the statement is prepared, and
/// again after the `search_path` has changed.
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
    format!("{}::pg_catalog.regclass", quoted_text(&quoted(name)))
}

/// Returns `true` if the statement may have failed because of its form. `InsertOne` has another
/// form, or its error names the problem better.
pub(super) fn needs_fallback(cause: &DieselError) -> bool {
    let is_unknown = matches!(
        cause,
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, _)
    );
    is_unknown
        && matches!(
            class_of_cause(cause),
            Class::Undefined | Class::Refused | Class::Permanent
        )
}

/// Inserts one message in a transaction of its own; 0 if the statement does not apply.
pub(super) async fn insert<E>(
    executor: &mut E,
    schema: &TableSchema,
    message: &RawMessage,
) -> QueryResult<usize>
where
    E: Executor<Backend = Pg>,
{
    if schema.has_foreign_inserts {
        insert_with::<true, E>(executor, &schema.messages, message).await
    } else {
        insert_with::<false, E>(executor, &schema.messages, message).await
    }
}

async fn insert_with<const IS_GUARDED: bool, E>(
    executor: &mut E,
    table: &MessageTable,
    message: &RawMessage,
) -> QueryResult<usize>
where
    E: Executor<Backend = Pg>,
{
    if table.is_default() {
        let insert = InsertSingle::<true, IS_GUARDED>::new(table, message);
        executor.execute(insert).await
    } else {
        let insert = InsertSingle::<false, IS_GUARDED>::new(table, message);
        executor.execute(insert).await
    }
}
