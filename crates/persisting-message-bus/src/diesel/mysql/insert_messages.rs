//! Messages as rows of values, in one statement.

use std::io::Write;
use std::marker::PhantomData;

use chrono::{DateTime, NaiveDateTime};
use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{BigInt, Datetime, Nullable, Text};
use uuid::Uuid;

use crate::RawMessage;
use crate::diesel::columns::push_columns;
use crate::diesel::{MessageTable, TableSchema};

/// What the topic of a statement's first message is.
pub(super) trait FirstTopic: 'static {
    /// Writes the SQL, with its values.
    fn push<'b>(
        schema: &'b TableSchema,
        topic: &'b str,
        out: &mut AstPass<'_, 'b, Mysql>,
    ) -> QueryResult<()>;
}

/// The value itself, as that of the others.
pub(super) struct AsItIs;

impl FirstTopic for AsItIs {
    fn push<'b>(
        _: &'b TableSchema,
        topic: &'b str,
        out: &mut AstPass<'_, 'b, Mysql>,
    ) -> QueryResult<()> {
        out.push_bind_param::<Text, str>(topic)
    }
}

/// Inserts messages, and returns how many.
pub(super) fn insert_messages<T, C>(
    connection: &mut C,
    schema: &TableSchema,
    messages: &[RawMessage],
) -> QueryResult<usize>
where
    T: FirstTopic,
    C: LoadConnection<Backend = Mysql>,
{
    let default = TableSchema::DEFAULT;
    let is_default =
        schema.messages == default.messages && schema.publisher_slots == default.publisher_slots;
    if messages.len() == 1 && is_default {
        let insert = InsertMessages::<T, true>::new(schema, messages);
        return connection.execute_returning_count(&insert);
    }
    connection.execute_returning_count(&InsertMessages::<T, false>::new(schema, messages))
}

/// The statement. That of one message, in the default tables, is found in Diesel's cache by its type: the
/// text of others is written anew each time, to look for it.
struct InsertMessages<'a, T, const IS_ONE_BY_DEFAULT: bool> {
    schema: &'a TableSchema,
    rows: Vec<Row<'a>>,
    first_topic: PhantomData<T>,
}

/// A message with the values that it does not have as the database takes them.
struct Row<'a> {
    message: &'a RawMessage,
    message_id: IdText,
    version: i64,
    published_at: NaiveDateTime,
}

impl<'a, T: FirstTopic, const IS_ONE_BY_DEFAULT: bool> InsertMessages<'a, T, IS_ONE_BY_DEFAULT> {
    fn new(schema: &'a TableSchema, messages: &'a [RawMessage]) -> Self {
        Self {
            schema,
            rows: messages.iter().map(Row::new).collect(),
            first_topic: PhantomData,
        }
    }
}

impl<'a> Row<'a> {
    fn new(message: &'a RawMessage) -> Self {
        let published_at = message.published_at;
        // Of a leap second, the database takes the second behind it.
        let micros = DateTime::from_timestamp_micros(published_at.timestamp_micros());
        Self {
            message,
            message_id: IdText(message.message_id),
            version: i64::from(message.message_version),
            published_at: micros.unwrap_or(published_at).naive_utc(),
        }
    }

    fn push_values<'b>(
        &'b self,
        table: &MessageTable,
        out: &mut AstPass<'_, 'b, Mysql>,
    ) -> QueryResult<()> {
        let message = self.message;
        out.push_sql(", ");
        out.push_bind_param::<Text, str>(&message.message_type)?;
        if table.message_version.is_some() {
            out.push_sql(", ");
            out.push_bind_param::<BigInt, i64>(&self.version)?;
        }
        if table.correlation_id.is_some() {
            out.push_sql(", ");
            out.push_bind_param::<Nullable<Text>, Option<String>>(&message.correlation_id)?;
        }
        for text in [&message.payload, &message.headers] {
            out.push_sql(", ");
            out.push_bind_param::<Text, String>(text)?;
        }
        out.push_sql(", ");
        out.push_bind_param::<Datetime, NaiveDateTime>(&self.published_at)
    }
}

impl<T: FirstTopic, const IS_ONE_BY_DEFAULT: bool> QueryFragment<Mysql>
    for InsertMessages<'_, T, IS_ONE_BY_DEFAULT>
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Mysql>) -> QueryResult<()> {
        let table = &self.schema.messages;
        out.push_sql("INSERT INTO ");
        out.push_identifier(&table.table)?;
        out.push_sql(" (");
        push_columns(table, &mut out)?;
        out.push_sql(") VALUES ");
        for (index, row) in self.rows.iter().enumerate() {
            out.push_sql(if index == 0 { "(" } else { ", (" });
            out.push_bind_param::<Text, IdText>(&row.message_id)?;
            out.push_sql(", ");
            let topic = &row.message.topic;
            match index {
                0 => T::push(self.schema, topic, &mut out)?,
                _ => AsItIs::push(self.schema, topic, &mut out)?,
            }
            row.push_values(table, &mut out)?;
            out.push_sql(")");
        }
        Ok(())
    }
}

impl<T: FirstTopic, const IS_ONE_BY_DEFAULT: bool> QueryId
    for InsertMessages<'_, T, IS_ONE_BY_DEFAULT>
{
    type QueryId = InsertMessages<'static, T, IS_ONE_BY_DEFAULT>;
    const HAS_STATIC_QUERY_ID: bool = IS_ONE_BY_DEFAULT;
}

/// An id as the text that its column holds.
#[derive(Debug)]
struct IdText(Uuid);

impl ToSql<Text, Mysql> for IdText {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Mysql>) -> serialize::Result {
        let mut text = Uuid::encode_buffer();
        out.write_all(self.0.hyphenated().encode_lower(&mut text).as_bytes())?;
        Ok(IsNull::No)
    }
}
