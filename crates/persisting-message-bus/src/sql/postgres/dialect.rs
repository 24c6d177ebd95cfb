use diesel::pg::Pg;
use diesel::query_builder::AstPass;
use diesel::result::QueryResult;

use crate::sql::dialect::{self, Dialect, Value};

impl Dialect for Pg {
    const NOW: &'static str = "pg_catalog.clock_timestamp()";
    const NOW_PLUS_MILLIS: &'static str = "pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) (
        ? OPERATOR(pg_catalog.*) interval '1 millisecond')";

    const UUID: &'static str = "?::pg_catalog.uuid";

    /// A proxy can send reads to a standby, where messages are missing that were committed late. A
    /// page that was read there is empty, which the reader notices.
    const IS_READABLE: &'static str = "AND NOT pg_catalog.pg_is_in_recovery()";

    fn bind<'b>(value: &'b Value<'_>, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()> {
        dialect::bind(value, out)
    }
}
