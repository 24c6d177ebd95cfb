//! JSON that is a text in this program.

use std::io::Write;

use diesel::pg::Pg;
use diesel::query_builder::QueryId;
use diesel::serialize::{IsNull, Output, Result, ToSql};
use diesel::sql_types::SqlType;

/// The type `json`. The server checks the value when it receives it, instead of casting it from a
/// text.
#[derive(SqlType, QueryId)]
#[diesel(postgres_type(oid = 114, array_oid = 199))]
pub(super) struct Json;

#[derive(Debug)]
pub(in crate::sql) struct JsonText<'a>(pub(super) &'a str);

impl ToSql<Json, Pg> for JsonText<'_> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> Result {
        out.write_all(self.0.as_bytes())?;
        Ok(IsNull::No)
    }
}
