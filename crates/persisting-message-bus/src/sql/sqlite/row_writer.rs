//! A message's values as SQLite stores them.

use chrono::SecondsFormat;
use diesel::query_builder::AstPass;
use diesel::result::QueryResult;
use diesel::sql_types::Text;
use diesel::sqlite::Sqlite;

use crate::message::raw::RawMessage;
use crate::message::time;
use crate::sql::executor::Executor;
use crate::sql::row_writer::{InsertRows, PlainTopic, Row, RowDialect};
use crate::sql::schema::TableSchema;
use crate::store::repository::OnDuplicate;

/// Id and time as texts.
pub(in crate::sql) struct Texts {
    message_id: String,
    published_at: String,
}

impl RowDialect for Sqlite {
    type Converted<'a> = Texts;

    fn convert(message: &RawMessage) -> Texts {
        let published_at = time::storable(message.published_at);
        Texts {
            message_id: message.message_id.to_string(),
            published_at: published_at.to_rfc3339_opts(SecondsFormat::Micros, true),
        }
    }

    fn push_id<'b>(row: &'b Row<'_, Self>, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()> {
        out.push_bind_param::<Text, str>(&row.converted.message_id)
    }

    fn push_content<'b>(
        row: &'b Row<'_, Self>,
        out: &mut AstPass<'_, 'b, Self>,
    ) -> QueryResult<()> {
        out.push_bind_param::<Text, str>(&row.message.payload)?;
        for text in [&row.message.headers, &row.converted.published_at] {
            out.push_sql(", ");
            out.push_bind_param::<Text, str>(text)?;
        }
        Ok(())
    }
}

/// Inserts messages, and returns the number of inserted messages.
pub(super) async fn insert_messages<E>(
    executor: &mut E,
    schema: &TableSchema,
    messages: &[RawMessage],
    duplicates: OnDuplicate,
) -> QueryResult<usize>
where
    E: Executor<Backend = Sqlite>,
{
    let is_one_by_default = messages.len() == 1 && schema.messages.is_default();
    if is_one_by_default && duplicates == OnDuplicate::Fail {
        let insert = InsertRows::<_, PlainTopic, true>::new(schema, messages, duplicates);
        return executor.execute(insert).await;
    }
    let insert = InsertRows::<_, PlainTopic, false>::new(schema, messages, duplicates);
    executor.execute(insert).await
}
