//! A message as a row that is inserted on its own.

use diesel::pg::Pg;
use diesel::query_builder::AstPass;
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::json::{Json, JsonText};
use crate::RawMessage;
use crate::diesel::MessageTable;
use crate::diesel::columns::push_columns;

pub(super) struct NewRow<'a> {
    pub(super) table: &'a MessageTable,
    pub(super) message: &'a RawMessage,
    version: i64,
    payload: JsonText<'a>,
    headers: JsonText<'a>,
}

impl<'a> NewRow<'a> {
    pub(super) fn new(table: &'a MessageTable, message: &'a RawMessage) -> Self {
        Self {
            table,
            message,
            version: i64::from(message.message_version),
            payload: JsonText(&message.payload),
            headers: JsonText(&message.headers),
        }
    }

    /// `INSERT INTO ... (...) SELECT ...`: what follows says whether there is a row.
    pub(super) fn push_insert<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("INSERT INTO ");
        out.push_identifier(&self.table.table)?;
        out.push_sql(" (");
        push_columns(self.table, out)?;
        out.push_sql(") SELECT ");
        self.push_values(out)
    }

    fn push_values<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let message = self.message;
        out.push_bind_param::<SqlUuid, Uuid>(&message.message_id)?;
        for name in [&message.topic, &message.message_type] {
            out.push_sql(", ");
            out.push_bind_param::<Text, str>(name)?;
        }
        if self.table.message_version.is_some() {
            out.push_sql(", ");
            out.push_bind_param::<BigInt, i64>(&self.version)?;
        }
        if self.table.correlation_id.is_some() {
            out.push_sql(", ");
            out.push_bind_param::<Nullable<Text>, Option<String>>(&message.correlation_id)?;
        }
        for text in [&self.payload, &self.headers] {
            out.push_sql(", ");
            out.push_bind_param::<Json, JsonText<'_>>(text)?;
        }
        out.push_sql(", ");
        out.push_bind_param::<Timestamptz, _>(&message.published_at)
    }
}
