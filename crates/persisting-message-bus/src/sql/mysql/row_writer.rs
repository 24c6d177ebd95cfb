//! A message's values as MySQL and MariaDB store them.

use std::io::Write;

use chrono::NaiveDateTime;
use diesel::mysql::Mysql;
use diesel::query_builder::AstPass;
use diesel::result::QueryResult;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{Datetime, Text};
use uuid::Uuid;

use crate::message::raw::RawMessage;
use crate::message::time;
use crate::sql::executor::Executor;
use crate::sql::row_writer::{InsertRows, Row, RowDialect, TopicExpression};
use crate::sql::schema::TableSchema;
use crate::store::repository::OnDuplicate;

/// The id as a text, and the time without its zone.
pub(in crate::sql) struct Columns {
    message_id: IdText,
    published_at: NaiveDateTime,
}

impl RowDialect for Mysql {
    type Converted<'a> = Columns;

    fn convert(message: &RawMessage) -> Columns {
        Columns {
            message_id: IdText(message.message_id),
            published_at: time::storable(message.published_at).naive_utc(),
        }
    }

    fn push_id<'b>(row: &'b Row<'_, Self>, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()> {
        out.push_bind_param::<Text, IdText>(&row.converted.message_id)
    }

    fn push_content<'b>(
        row: &'b Row<'_, Self>,
        out: &mut AstPass<'_, 'b, Self>,
    ) -> QueryResult<()> {
        for text in [&row.message.payload, &row.message.headers] {
            out.push_bind_param::<Text, String>(text)?;
            out.push_sql(", ");
        }
        out.push_bind_param::<Datetime, NaiveDateTime>(&row.converted.published_at)
    }
}

/// Inserts messages, and returns the number of inserted messages.
pub(super) async fn insert_messages<T, E>(
    executor: &mut E,
    schema: &TableSchema,
    messages: &[RawMessage],
) -> QueryResult<usize>
where
    T: TopicExpression<Mysql>,
    E: Executor<Backend = Mysql>,
{
    let is_default = schema.messages.is_default()
        && schema.publisher_slots == TableSchema::DEFAULT.publisher_slots;
    let duplicates = OnDuplicate::Fail;
    if messages.len() == 1 && is_default {
        let insert = InsertRows::<_, T, true>::new(schema, messages, duplicates);
        return executor.execute(insert).await;
    }
    let insert = InsertRows::<_, T, false>::new(schema, messages, duplicates);
    executor.execute(insert).await
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
