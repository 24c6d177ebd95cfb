//! Inserts one message in any transaction, with a statement that does not pay for telling rows
//! apart.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Text};

use crate::error::Error;
use crate::message::raw::RawMessage;
use crate::sql::executor::Executor;
use crate::sql::own_transactions::is_in_transaction;
use crate::sql::postgres::fence::key_of;
use crate::sql::postgres::left_out;
use crate::sql::postgres::publish_autocommit;
use crate::sql::postgres::publish_errors::not_persisted;
use crate::sql::postgres::row_writer::NewRow;
use crate::sql::schema::{MessageTable, TableSchema};
use crate::sql::statements::duplicates::{is_unique_violation, names_duplicate};
use crate::store::repository::OnDuplicate;

/// Draws the position. The column's default could draw it from another sequence than the one that
/// the fence announces.
pub(super) const POSITION: &str = "pg_catalog.nextval(fence.id)";

/// The row is made after the condition was checked, and its position is drawn with the row, so
/// after the fence.
///
/// The last value is read before the lock is taken, because it is an argument of the lock. The
/// transaction remembers its locks as in `unnested_rows.rs`, so that it holds one for each topic.
///
/// OFFSET keeps the planner from looking up the sequence wherever its id is named. Each function
/// that is named costs time, even if it is not called.
pub(super) const SEQUENCE: &str = "
    FROM (
        SELECT id, of_table, topic,
            topic OPERATOR(pg_catalog.#) (id::pg_catalog.oid::bigint OPERATOR(pg_catalog.<<) 40) AS key,
            'persisting_message_bus.fence_' OPERATOR(pg_catalog.||) pg_catalog.to_hex(
                topic OPERATOR(pg_catalog.#) id::pg_catalog.oid::bigint
            ) AS setting
        FROM (
            SELECT coalesce(
                pg_catalog.pg_get_serial_sequence(pg_catalog.quote_ident(of_table), of_column),
                pg_catalog.quote_ident(pg_catalog.concat('the sequence of ', of_table, '.', of_column))
            )::pg_catalog.regclass AS id, of_table, topic
            FROM (SELECT ";

/// Inserts nothing into a temporary table, which no other session sees.
pub(super) const FENCE: &str = ") AS name
            OFFSET 0
        ) AS sequence
    ) AS fence
    WHERE CASE
        WHEN pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0 AND pg_catalog.to_regclass(
            'pg_temp.' OPERATOR(pg_catalog.||) pg_catalog.quote_ident(of_table)
        ) IS NOT NULL THEN false
        WHEN pg_catalog.current_setting(setting, true) OPERATOR(pg_catalog.=) 'held' THEN true
        ELSE pg_catalog.pg_advisory_xact_lock_shared(
            key OPERATOR(pg_catalog.#) coalesce(pg_catalog.pg_sequence_last_value(id), 0)
        ) IS NOT NULL AND pg_catalog.set_config(setting, 'held', true) IS NOT NULL
    END";

/// Tells the session which table the sequence belongs to: see `publish_autocommit.rs`.
const TELLS_SESSION: &str = "
    AND pg_catalog.set_config(
        'persisting_message_bus.table_of_' OPERATOR(pg_catalog.||) id::pg_catalog.oid::pg_catalog.text,
        pg_catalog.quote_ident(of_table)::pg_catalog.regclass::pg_catalog.oid::pg_catalog.text, false
    ) IS NOT NULL";

/// Inserts a message, or nothing if its id is taken.
///
/// The default tables have a type of their own, by which Diesel finds the statement. So Diesel does
/// not write the text again each time to look the statement up.
pub(super) struct InsertOne<'a, const HAS_STATIC_ID: bool, const TELLS: bool> {
    row: NewRow<'a>,
    topic: i64,
}

impl<'a, const HAS_STATIC_ID: bool, const TELLS: bool> InsertOne<'a, HAS_STATIC_ID, TELLS> {
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

impl<const HAS_STATIC_ID: bool, const TELLS: bool> QueryFragment<Pg>
    for InsertOne<'_, HAS_STATIC_ID, TELLS>
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.row.push_insert(Some(POSITION), &mut out)?;
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

impl<const HAS_STATIC_ID: bool, const TELLS: bool> QueryId for InsertOne<'_, HAS_STATIC_ID, TELLS> {
    type QueryId = InsertOne<'static, HAS_STATIC_ID, TELLS>;
    const HAS_STATIC_QUERY_ID: bool = HAS_STATIC_ID;
}

/// Inserts one message, and returns the number of inserted messages: 0 for a duplicate that is
/// ignored.
pub(super) async fn insert<E>(
    executor: &mut E,
    schema: &TableSchema,
    message: &RawMessage,
    duplicates: OnDuplicate,
) -> Result<usize, Error>
where
    E: Executor<Backend = Pg>,
{
    let (table, messages) = (&schema.messages, std::slice::from_ref(message));
    match insert_row(executor, schema, message, duplicates).await {
        // The count shows the duplicate, so no error ends the caller's transaction.
        Ok(0) => left_out::check(executor, table, messages, duplicates)
            .await
            .map(|()| 0),
        inserted => inserted.map_err(|cause| not_persisted(table, cause, messages)),
    }
}

async fn insert_row<E>(
    executor: &mut E,
    schema: &TableSchema,
    message: &RawMessage,
    duplicates: OnDuplicate,
) -> QueryResult<usize>
where
    E: Executor<Backend = Pg>,
{
    let table = &schema.messages;
    // A duplicate makes the autocommit statement fail, and the server logs that.
    if duplicates == OnDuplicate::Ignore || is_in_transaction(executor) {
        return insert_anywhere::<false, E>(executor, table, message).await;
    }
    match publish_autocommit::insert(executor, schema, message).await {
        Ok(0) => {}
        Err(cause) if publish_autocommit::needs_fallback(&cause) => {}
        // Under row-level security, PostgreSQL does not say which id is the duplicate.
        Err(cause) if is_unique_violation(&cause) && !names_duplicate(&cause, message) => {}
        inserted => return inserted,
    }
    insert_anywhere::<true, E>(executor, table, message).await
}

async fn insert_anywhere<const TELLS: bool, E>(
    executor: &mut E,
    table: &MessageTable,
    message: &RawMessage,
) -> QueryResult<usize>
where
    E: Executor<Backend = Pg>,
{
    if table.is_default() {
        let insert = InsertOne::<true, TELLS>::new(table, message);
        executor.execute(insert).await
    } else {
        let insert = InsertOne::<false, TELLS>::new(table, message);
        executor.execute(insert).await
    }
}
