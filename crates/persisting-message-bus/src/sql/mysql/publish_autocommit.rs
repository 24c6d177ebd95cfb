//! Inserts messages with one statement instead of a transaction of four statements.

use diesel::mysql::Mysql;
use diesel::query_builder::AstPass;
use diesel::result::{Error as DieselError, QueryResult};
use diesel::sql_types::Text;

use crate::classify::chain::class_of_cause;
use crate::error::class::Class;
use crate::message::raw::RawMessage;
use crate::sql::executor::Executor;
use crate::sql::mysql::row_writer::insert_messages;
use crate::sql::row_writer::TopicExpression;
use crate::sql::schema::TableSchema;

/// Inserts messages of one topic in a transaction of their own, which is this statement. If the
/// statement cannot insert them, it fails and has inserted nothing. A transaction with more
/// statements may then insert them.
///
/// The topic of the first message is the value of a query that locks a slot. So no row can be given
/// a position before the slot is locked: the positions of the other messages come with the first
/// one, or later.
///
/// A replica that executes the statements of the log, one at a time or in an order of its own,
/// would lock other slots and might find none. So a server with such replicas must log rows only.
pub(super) async fn insert<E>(
    executor: &mut E,
    schema: &TableSchema,
    messages: &[RawMessage],
) -> QueryResult<usize>
where
    E: Executor<Backend = Mysql>,
{
    match insert_messages::<TopicFromSlot<true>, E>(executor, schema, messages).await {
        Err(cause) if needs_fallback(&cause) => {
            insert_messages::<TopicFromSlot<false>, E>(executor, schema, messages).await
        }
        inserted => inserted,
    }
}

/// The topic, if there is a free slot. With `IS_MINE`, it is the connection's own slot, which takes
/// only one index lookup. Otherwise, it is the first slot from there that no transaction holds.
struct TopicFromSlot<const IS_MINE: bool>;

impl<const IS_MINE: bool> TopicExpression<Mysql> for TopicFromSlot<IS_MINE> {
    fn push<'b>(
        schema: &'b TableSchema,
        topic: &'b str,
        _: usize,
        out: &mut AstPass<'_, 'b, Mysql>,
    ) -> QueryResult<()> {
        let slots = &schema.publisher_slots;
        out.push_sql("coalesce((SELECT ");
        out.push_bind_param::<Text, str>(topic)?;
        out.push_sql(" FROM ");
        out.push_identifier(&slots.table)?;
        out.push_sql(" WHERE ");
        out.push_identifier(&slots.topic)?;
        out.push_sql(" = ");
        out.push_bind_param::<Text, str>(topic)?;
        out.push_sql(" AND ");
        out.push_identifier(&slots.slot)?;
        out.push_sql(if IS_MINE { " = " } else { " >= " });
        out.push_sql(
            "connection_id() % 64 AND @@sql_mode LIKE '%STRICT%' AND @@autocommit \
             AND @@binlog_format <> 'STATEMENT'",
        );
        if !IS_MINE {
            out.push_sql(" ORDER BY ");
            out.push_identifier(&slots.slot)?;
            out.push_sql(" LIMIT 1");
        }
        out.push_sql(" FOR UPDATE SKIP LOCKED), ");
        out.push_sql(FAILS_WHEN_EVALUATED);
        out.push_sql(")");
        Ok(())
    }
}

/// An expression that fails in every SQL mode, because the number is out of range.
pub(super) const FAILS_WHEN_EVALUATED: &str = "9223372036854775807 + 1";

/// Returns `true` if the statement has found no slot, or if the server does not even understand it.
/// After any other error, the statement may have been committed.
pub(super) fn needs_fallback(cause: &DieselError) -> bool {
    class_of_cause(cause) == Class::Refused
}
