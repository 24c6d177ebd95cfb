//! One message in a statement of its own, without what it takes to tell rows apart.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::fence::hash_of;
use super::json::{Json, JsonText};
use crate::RawMessage;
use crate::diesel::MessageTable;

/// The row is made behind the condition, and its position is drawn with it: behind the fence.
///
/// The last value is read before the lock is taken, because it is an argument of the lock. A longer
/// transaction remembers its locks as that of many messages does, so that it holds one for each
/// topic. One without a first write is as good as over when the statement is: there is nothing to
/// remember, which would cost as much as the lock.
///
/// OFFSET keeps the planner from looking for the sequence wherever its id is named. Each function that
/// is named costs time, also where it is not called: numbers of 32 bits need no casts between them.
const SEQUENCE: &str = "
    FROM (
        SELECT id, hash # id::integer AS class, is_long FROM (
            SELECT coalesce(
                pg_get_serial_sequence(quote_ident(of_table), of_column),
                format('\"the sequence of %s.%s\"', of_table, of_column)
            )::regclass AS id, hash, is_long
            FROM (SELECT ";

const FENCE: &str = ") AS name
            OFFSET 0
        ) AS sequence
    ) AS topic
    WHERE CASE current_setting('persisting_message_bus.fence_' || to_hex(class), true)
        WHEN 'held' THEN true
        ELSE pg_advisory_xact_lock_shared(
            class, (coalesce(pg_sequence_last_value(id), 0) & 2147483647)::integer
        ) IS NOT NULL AND CASE
            WHEN is_long OR pg_current_xact_id_if_assigned() IS NOT NULL THEN set_config(
                'persisting_message_bus.fence_' || to_hex(class), 'held', true
            ) IS NOT NULL
            ELSE true
        END
    END
    ON CONFLICT (";

/// Inserts a message, or nothing if its id is taken.
///
/// The default tables have a type of their own: Diesel finds its statement by that, and does not write
/// it anew each time to look for the text.
pub(super) struct InsertMessage<'a, const BY_DEFAULT: bool> {
    table: &'a MessageTable,
    message: &'a RawMessage,
    version: i64,
    payload: JsonText<'a>,
    headers: JsonText<'a>,
    hash: i32,
    /// Whether the transaction goes on behind the statement.
    is_long: bool,
}

impl<'a, const BY_DEFAULT: bool> InsertMessage<'a, BY_DEFAULT> {
    pub(super) fn new(table: &'a MessageTable, message: &'a RawMessage, is_long: bool) -> Self {
        Self {
            table,
            message,
            version: i64::from(message.message_version),
            payload: JsonText(&message.payload),
            headers: JsonText(&message.headers),
            hash: hash_of(&message.topic).cast_signed(),
            is_long,
        }
    }

    fn push_columns<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let table = self.table;
        let columns = [
            &table.topic,
            &table.message_type,
            &table.payload,
            &table.headers,
            &table.published_at,
        ];
        let optional = [&table.message_version, &table.correlation_id];
        out.push_identifier(&table.message_id)?;
        for column in columns.into_iter().chain(optional.into_iter().flatten()) {
            out.push_sql(", ");
            out.push_identifier(column)?;
        }
        Ok(())
    }

    fn push_values<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let message = self.message;
        out.push_bind_param::<SqlUuid, Uuid>(&message.message_id)?;
        for name in [&message.topic, &message.message_type] {
            out.push_sql(", ");
            out.push_bind_param::<Text, str>(name)?;
        }
        for text in [&self.payload, &self.headers] {
            out.push_sql(", ");
            out.push_bind_param::<Json, JsonText<'_>>(text)?;
        }
        out.push_sql(", ");
        out.push_bind_param::<Timestamptz, _>(&message.published_at)?;
        if self.table.message_version.is_some() {
            out.push_sql(", ");
            out.push_bind_param::<BigInt, i64>(&self.version)?;
        }
        if self.table.correlation_id.is_some() {
            out.push_sql(", ");
            out.push_bind_param::<Nullable<Text>, Option<String>>(&message.correlation_id)?;
        }
        Ok(())
    }

    fn push_topic<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_bind_param::<Text, str>(&self.table.table)?;
        out.push_sql(" AS of_table, ");
        out.push_bind_param::<Text, str>(&self.table.id)?;
        out.push_sql(" AS of_column, ");
        out.push_bind_param::<Integer, i32>(&self.hash)?;
        out.push_sql(" AS hash, ");
        out.push_bind_param::<Bool, bool>(&self.is_long)?;
        out.push_sql(" AS is_long");
        Ok(())
    }
}

impl<const BY_DEFAULT: bool> QueryFragment<Pg> for InsertMessage<'_, BY_DEFAULT> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("INSERT INTO ");
        out.push_identifier(&self.table.table)?;
        out.push_sql(" (");
        self.push_columns(&mut out)?;
        out.push_sql(") SELECT ");
        self.push_values(&mut out)?;
        out.push_sql(SEQUENCE);
        self.push_topic(&mut out)?;
        out.push_sql(FENCE);
        out.push_identifier(&self.table.message_id)?;
        out.push_sql(") DO NOTHING");
        Ok(())
    }
}

impl<const BY_DEFAULT: bool> QueryId for InsertMessage<'_, BY_DEFAULT> {
    type QueryId = InsertMessage<'static, BY_DEFAULT>;
    const HAS_STATIC_QUERY_ID: bool = BY_DEFAULT;
}
