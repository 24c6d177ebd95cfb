//! A message's values as PostgreSQL stores them, and a row that is inserted on its own.

use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::query_builder::AstPass;
use diesel::result::QueryResult;
use diesel::sql_types::{Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use crate::message::raw::RawMessage;
use crate::message::time;
use crate::sql::columns::push_columns;
use crate::sql::postgres::json::{Json, JsonText};
use crate::sql::row_writer::{Row, RowDialect};
use crate::sql::schema::MessageTable;

/// Payload and headers, in this order, and the time.
pub(in crate::sql) struct Columns<'a> {
    texts: [JsonText<'a>; 2],
    published_at: DateTime<Utc>,
}

impl RowDialect for Pg {
    type Converted<'a> = Columns<'a>;

    fn convert(message: &RawMessage) -> Columns<'_> {
        Columns {
            texts: [JsonText(&message.payload), JsonText(&message.headers)],
            published_at: time::storable(message.published_at),
        }
    }

    fn push_id<'b>(row: &'b Row<'_, Self>, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()> {
        out.push_bind_param::<SqlUuid, Uuid>(&row.message.message_id)
    }

    fn push_content<'b>(
        row: &'b Row<'_, Self>,
        out: &mut AstPass<'_, 'b, Self>,
    ) -> QueryResult<()> {
        for text in &row.converted.texts {
            out.push_bind_param::<Json, JsonText<'_>>(text)?;
            out.push_sql(", ");
        }
        out.push_bind_param::<Timestamptz, _>(&row.converted.published_at)
    }
}

pub(super) struct NewRow<'a> {
    pub(super) table: &'a MessageTable,
    row: Row<'a, Pg>,
}

impl<'a> NewRow<'a> {
    pub(super) fn new(table: &'a MessageTable, message: &'a RawMessage) -> Self {
        let row = Row::new(message);
        Self { table, row }
    }

    /// Writes `INSERT INTO ... (...) SELECT ...`. The SQL after it decides whether there is a row.
    /// The position is that of the column's default, or the value of an expression.
    pub(super) fn push_insert<'b>(
        &'b self,
        position: Option<&str>,
        out: &mut AstPass<'_, 'b, Pg>,
    ) -> QueryResult<()> {
        out.push_sql("INSERT INTO ");
        out.push_identifier(&self.table.table)?;
        out.push_sql(" (");
        if position.is_some() {
            out.push_identifier(&self.table.id)?;
            out.push_sql(", ");
        }
        push_columns(self.table, out)?;
        if let Some(position) = position {
            out.push_sql(") OVERRIDING SYSTEM VALUE SELECT ");
            out.push_sql(position);
            out.push_sql(", ");
        } else {
            out.push_sql(") SELECT ");
        }
        let topic = &self.row.message.topic;
        let push_topic = |out: &mut AstPass<'_, 'b, Pg>| out.push_bind_param::<Text, str>(topic);
        self.row.push_values(self.table, false, push_topic, out)
    }
}
