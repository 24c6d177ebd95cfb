//! One message into the default table: Diesel finds its statement by the type, and does not write it anew
//! each time to look for the text.

use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::sqlite::Sqlite;

use crate::diesel::insert::Row;

const INSERT: &str = "INSERT INTO public_messages (message_id, topic, message_type, message_version, \
    correlation_id, payload, headers, published_at) VALUES (";

pub(super) struct InsertSingle<'a, const OR_NOTHING: bool> {
    row: Row<'a>,
    version: i64,
}

impl<'a, const OR_NOTHING: bool> InsertSingle<'a, OR_NOTHING> {
    pub(super) fn new(row: Row<'a>) -> Self {
        let version = i64::from(row.message.message_version);
        Self { row, version }
    }
}

impl<const OR_NOTHING: bool> QueryFragment<Sqlite> for InsertSingle<'_, OR_NOTHING> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let message = self.row.message;
        out.push_sql(INSERT);
        for text in [&*self.row.message_id, &message.topic, &message.message_type] {
            out.push_bind_param::<Text, str>(text)?;
            out.push_sql(", ");
        }
        out.push_bind_param::<BigInt, i64>(&self.version)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Text>, Option<String>>(&message.correlation_id)?;
        for text in [&message.payload, &message.headers, &self.row.published_at] {
            out.push_sql(", ");
            out.push_bind_param::<Text, str>(text)?;
        }
        out.push_sql(if OR_NOTHING {
            ") ON CONFLICT (message_id) DO NOTHING"
        } else {
            ")"
        });
        Ok(())
    }
}

impl<const OR_NOTHING: bool> QueryId for InsertSingle<'_, OR_NOTHING> {
    type QueryId = InsertSingle<'static, OR_NOTHING>;
    const HAS_STATIC_QUERY_ID: bool = true;
}
