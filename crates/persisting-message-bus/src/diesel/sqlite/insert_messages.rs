//! Messages as rows of values, in one statement.

use chrono::SecondsFormat;
use diesel::Connection;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::sqlite::Sqlite;

use crate::diesel::columns::push_columns;
use crate::diesel::{MessageTable, TableSchema};
use crate::{Duplicates, RawMessage};

/// Inserts messages, and returns how many.
pub(super) fn insert_messages<C>(
    connection: &mut C,
    table: &MessageTable,
    messages: &[RawMessage],
    duplicates: Duplicates,
) -> QueryResult<usize>
where
    C: Connection<Backend = Sqlite>,
{
    let is_one_by_default = messages.len() == 1 && *table == TableSchema::DEFAULT.messages;
    if is_one_by_default && duplicates == Duplicates::Fail {
        let insert = InsertMessages::<true>::new(table, messages, duplicates);
        return connection.execute_returning_count(&insert);
    }
    let insert = InsertMessages::<false>::new(table, messages, duplicates);
    connection.execute_returning_count(&insert)
}

/// The statement. That of one message, in the default table, is found in Diesel's cache by its type: the
/// text of others is written anew each time, to look for it.
struct InsertMessages<'a, const IS_ONE_BY_DEFAULT: bool> {
    table: &'a MessageTable,
    rows: Vec<Row<'a>>,
    duplicates: Duplicates,
}

/// A message with the texts of those columns that are none.
struct Row<'a> {
    message: &'a RawMessage,
    message_id: String,
    version: i64,
    published_at: String,
}

impl<'a, const IS_ONE_BY_DEFAULT: bool> InsertMessages<'a, IS_ONE_BY_DEFAULT> {
    fn new(table: &'a MessageTable, messages: &'a [RawMessage], duplicates: Duplicates) -> Self {
        Self {
            table,
            rows: messages.iter().map(Row::new).collect(),
            duplicates,
        }
    }
}

impl<'a> Row<'a> {
    fn new(message: &'a RawMessage) -> Self {
        let published_at = message.published_at;
        Self {
            message,
            message_id: message.message_id.to_string(),
            version: i64::from(message.message_version),
            published_at: published_at.to_rfc3339_opts(SecondsFormat::Micros, true),
        }
    }

    fn push_values<'b>(
        &'b self,
        table: &MessageTable,
        out: &mut AstPass<'_, 'b, Sqlite>,
    ) -> QueryResult<()> {
        let message = self.message;
        out.push_bind_param::<Text, str>(&self.message_id)?;
        for name in [&message.topic, &message.message_type] {
            out.push_sql(", ");
            out.push_bind_param::<Text, str>(name)?;
        }
        if table.message_version.is_some() {
            out.push_sql(", ");
            out.push_bind_param::<BigInt, i64>(&self.version)?;
        }
        if table.correlation_id.is_some() {
            out.push_sql(", ");
            out.push_bind_param::<Nullable<Text>, Option<String>>(&message.correlation_id)?;
        }
        for text in [&message.payload, &message.headers, &self.published_at] {
            out.push_sql(", ");
            out.push_bind_param::<Text, str>(text)?;
        }
        Ok(())
    }
}

impl<const IS_ONE_BY_DEFAULT: bool> QueryFragment<Sqlite>
    for InsertMessages<'_, IS_ONE_BY_DEFAULT>
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("INSERT INTO ");
        out.push_identifier(&self.table.table)?;
        out.push_sql(" (");
        push_columns(self.table, &mut out)?;
        out.push_sql(") VALUES ");
        for (index, row) in self.rows.iter().enumerate() {
            out.push_sql(if index == 0 { "(" } else { ", (" });
            row.push_values(self.table, &mut out)?;
            out.push_sql(")");
        }
        if self.duplicates == Duplicates::Ignore {
            out.push_sql(" ON CONFLICT (");
            out.push_identifier(&self.table.message_id)?;
            out.push_sql(") DO NOTHING");
        }
        Ok(())
    }
}

impl<const IS_ONE_BY_DEFAULT: bool> QueryId for InsertMessages<'_, IS_ONE_BY_DEFAULT> {
    type QueryId = InsertMessages<'static, IS_ONE_BY_DEFAULT>;
    const HAS_STATIC_QUERY_ID: bool = IS_ONE_BY_DEFAULT;
}
