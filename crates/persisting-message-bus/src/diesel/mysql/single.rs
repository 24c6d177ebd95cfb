//! Messages in one statement instead of a transaction of four.

use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::query_builder::AstPass;
use diesel::result::{Error as DieselError, QueryResult};
use diesel::sql_types::Text;

use super::insert_messages::{FirstTopic, insert_messages};
use crate::RawMessage;
use crate::diesel::TableSchema;
use crate::diesel::class::class_of_cause;
use crate::error::class::Class;

/// Inserts messages of one topic in a transaction of their own, which is this statement, and fails where it
/// cannot: then nothing has been inserted, and a transaction with more statements may do it.
///
/// The topic of the first one is the value of a query that locks a slot. So there is no row that could be
/// given a position before the slot is locked: the others' come with the first one's, or later.
///
/// A replica that makes what statements say, one at a time or in an order of its own, would lock other
/// slots and might find none: there, only rows are to be logged.
pub(super) fn insert<C>(
    connection: &mut C,
    schema: &TableSchema,
    messages: &[RawMessage],
) -> QueryResult<usize>
where
    C: LoadConnection<Backend = Mysql>,
{
    match insert_messages::<OfSlot<true>, C>(connection, schema, messages) {
        Err(cause) if is_refused(&cause) => {
            insert_messages::<OfSlot<false>, C>(connection, schema, messages)
        }
        inserted => inserted,
    }
}

/// The topic, if there is a free slot: the connection's own, which takes no more than a look into the
/// index; or else the first one from there that nobody holds.
struct OfSlot<const IS_MINE: bool>;

impl<const IS_MINE: bool> FirstTopic for OfSlot<IS_MINE> {
    fn push<'b>(
        schema: &'b TableSchema,
        topic: &'b str,
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
        out.push_sql(NOTHING);
        out.push_sql(")");
        Ok(())
    }
}

/// What no column takes, in any mode: a number that is out of range.
const NOTHING: &str = "9223372036854775807 + 1";

/// Whether the statement has found no slot, or the server does not even understand it. After whatever else,
/// it may have been committed.
pub(super) fn is_refused(cause: &DieselError) -> bool {
    class_of_cause(cause) == Class::Refused
}
