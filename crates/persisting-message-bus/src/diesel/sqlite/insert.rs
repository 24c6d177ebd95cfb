//! Many messages in one statement.

use chrono::SecondsFormat;
use diesel::Connection;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::Sqlite;

use crate::diesel::MessageTable;
use crate::{Duplicates, RawMessage};

/// The most rows of a statement. SQLite allows 32,766 values; more rows make it no faster.
const MOST_ROWS: usize = 512;

/// Inserts the messages in statements of 512, 256, ... 1 rows: so few texts that all of them are
/// prepared once per connection.
pub(super) fn messages<C>(
    connection: &mut C,
    table: &MessageTable,
    messages: &[RawMessage],
    duplicates: Duplicates,
) -> QueryResult<usize>
where
    C: Connection<Backend = Sqlite>,
{
    let insert = |connection: &mut C, rows| {
        connection.execute_returning_count(&InsertMessages::new(table, rows, duplicates))
    };
    if messages.len() == rows_of_next(messages) {
        return insert(connection, messages);
    }
    connection.transaction(|connection| {
        let mut rest = messages;
        let mut inserted = 0;
        while !rest.is_empty() {
            let (rows, later) = rest.split_at(rows_of_next(rest));
            inserted += insert(connection, rows)?;
            rest = later;
        }
        Ok(inserted)
    })
}

/// The largest power of two that the messages fill.
fn rows_of_next(messages: &[RawMessage]) -> usize {
    match messages.len().checked_ilog2() {
        Some(exponent) => (1 << exponent).min(MOST_ROWS),
        None => 0,
    }
}

struct InsertMessages<'a> {
    table: &'a MessageTable,
    rows: Vec<Row<'a>>,
    duplicates: Duplicates,
}

struct Row<'a> {
    message: &'a RawMessage,
    message_id: String,
    message_version: i64,
    published_at: String,
}

impl<'a> InsertMessages<'a> {
    fn new(table: &'a MessageTable, messages: &'a [RawMessage], duplicates: Duplicates) -> Self {
        let row = |message: &'a RawMessage| Row {
            message,
            message_id: message.message_id.to_string(),
            message_version: i64::from(message.message_version),
            published_at: message
                .published_at
                .to_rfc3339_opts(SecondsFormat::Micros, true),
        };
        Self {
            table,
            rows: messages.iter().map(row).collect(),
            duplicates,
        }
    }

    fn walk_columns(&self, out: &mut AstPass<'_, '_, Sqlite>) -> QueryResult<()> {
        let table = self.table;
        let version = table.message_version.as_ref();
        let columns = [&table.message_id, &table.topic, &table.message_type]
            .into_iter()
            .chain(version)
            .chain([&table.payload, &table.headers, &table.published_at]);
        for (index, column) in columns.enumerate() {
            out.push_sql(if index == 0 { "(" } else { ", " });
            out.push_identifier(column)?;
        }
        out.push_sql(")");
        Ok(())
    }

    fn walk_row<'b>(
        &'b self,
        row: &'b Row<'_>,
        out: &mut AstPass<'_, 'b, Sqlite>,
    ) -> QueryResult<()> {
        out.push_sql("(");
        out.push_bind_param::<Text, str>(&row.message_id)?;
        for text in [&row.message.topic, &row.message.message_type] {
            out.push_sql(", ");
            out.push_bind_param::<Text, str>(text)?;
        }
        if self.table.message_version.is_some() {
            out.push_sql(", ");
            out.push_bind_param::<BigInt, i64>(&row.message_version)?;
        }
        for text in [
            &row.message.payload,
            &row.message.headers,
            &row.published_at,
        ] {
            out.push_sql(", ");
            out.push_bind_param::<Text, str>(text)?;
        }
        out.push_sql(")");
        Ok(())
    }
}

impl QueryFragment<Sqlite> for InsertMessages<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("INSERT INTO ");
        out.push_identifier(&self.table.table)?;
        out.push_sql(" ");
        self.walk_columns(&mut out)?;
        for (index, row) in self.rows.iter().enumerate() {
            out.push_sql(if index == 0 { " VALUES " } else { ", " });
            self.walk_row(row, &mut out)?;
        }
        if self.duplicates == Duplicates::Ignore {
            out.push_sql(" ON CONFLICT (");
            out.push_identifier(&self.table.message_id)?;
            out.push_sql(") DO NOTHING");
        }
        Ok(())
    }
}

/// The text identifies the statement in the cache.
impl QueryId for InsertMessages<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}
