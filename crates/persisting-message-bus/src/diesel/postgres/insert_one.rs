//! One message in any transaction: in a statement of its own, without what it takes to tell rows apart.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Text};

use super::fence::key_of;
use super::new_row::NewRow;
use crate::RawMessage;
use crate::diesel::MessageTable;

/// The row is made after the condition was checked, and its position is drawn with it: after the fence.
///
/// The last value is read before the lock is taken, because it is an argument of the lock. The
/// transaction remembers its locks as that of many messages does, so that it holds one for each topic.
///
/// OFFSET keeps the planner from looking for the sequence wherever its id is named. Each function that
/// is named costs time, also where it is not called.
const SEQUENCE: &str = "
    FROM (
        SELECT id, of_table, topic, topic # (id::oid::bigint << 40) AS key FROM (
            SELECT coalesce(
                pg_get_serial_sequence(quote_ident(of_table), of_column),
                format('\"the sequence of %s.%s\"', of_table, of_column)
            )::regclass AS id, of_table, topic
            FROM (SELECT ";

const FENCE: &str = ") AS name
            OFFSET 0
        ) AS sequence
    ) AS fence
    WHERE CASE current_setting('persisting_message_bus.fence_' || to_hex(topic # id::oid::bigint), true)
        WHEN 'held' THEN true
        ELSE pg_advisory_xact_lock_shared(
            key # coalesce(pg_sequence_last_value(id), 0)
        ) IS NOT NULL AND set_config(
            'persisting_message_bus.fence_' || to_hex(topic # id::oid::bigint), 'held', true
        ) IS NOT NULL
    END";

/// Tells the session which table's the sequence is: see `single.rs`.
const TELLS_SESSION: &str = "
    AND set_config(
        'persisting_message_bus.table_of_' || id::oid::text,
        quote_ident(of_table)::regclass::oid::text, false
    ) IS NOT NULL";

/// Inserts a message, or nothing if its id is taken.
///
/// The default tables have a type of their own: Diesel finds its statement by that, and does not write
/// it anew each time to look for the text.
pub(super) struct InsertOne<'a, const BY_DEFAULT: bool, const TELLS: bool> {
    row: NewRow<'a>,
    topic: i64,
}

impl<'a, const BY_DEFAULT: bool, const TELLS: bool> InsertOne<'a, BY_DEFAULT, TELLS> {
    pub(super) fn new(table: &'a MessageTable, message: &'a RawMessage) -> Self {
        Self {
            row: NewRow::new(table, message),
            topic: key_of(&message.topic),
        }
    }

    fn push_topic<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let table = self.row.table;
        out.push_bind_param::<Text, str>(&table.table)?;
        out.push_sql(" AS of_table, ");
        out.push_bind_param::<Text, str>(&table.id)?;
        out.push_sql(" AS of_column, ");
        out.push_bind_param::<BigInt, i64>(&self.topic)?;
        out.push_sql(" AS topic");
        Ok(())
    }
}

impl<const BY_DEFAULT: bool, const TELLS: bool> QueryFragment<Pg>
    for InsertOne<'_, BY_DEFAULT, TELLS>
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.row.push_insert(&mut out)?;
        out.push_sql(SEQUENCE);
        self.push_topic(&mut out)?;
        out.push_sql(FENCE);
        if TELLS {
            out.push_sql(TELLS_SESSION);
        }
        out.push_sql(" ON CONFLICT (");
        out.push_identifier(&self.row.table.message_id)?;
        out.push_sql(") DO NOTHING");
        Ok(())
    }
}

impl<const BY_DEFAULT: bool, const TELLS: bool> QueryId for InsertOne<'_, BY_DEFAULT, TELLS> {
    type QueryId = InsertOne<'static, BY_DEFAULT, TELLS>;
    const HAS_STATIC_QUERY_ID: bool = BY_DEFAULT;
}
