use diesel::query_builder::AstPass;
use diesel::result::QueryResult;
use diesel::sqlite::Sqlite;

use crate::sql::dialect::{self, Dialect, Value};

/// Times are texts, in milliseconds and in a form whose order as text is the order in time.
impl Dialect for Sqlite {
    /// A bare parameter after LIMIT makes SQLite prepare the statement again each time.
    const LIMIT: &'static str = "? + 0";
    const NOW: &'static str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";
    const NOW_PLUS_MILLIS: &'static str =
        "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', printf('%+.3f seconds', ? / 1000.0))";

    /// Only the main database counts, because the last position is read there.
    const COLUMNS: &'static str = "SELECT name FROM pragma_table_xinfo(?, 'main')";
    const PLACE: &'static str = "SELECT group_concat(text, ' ') FROM (
        SELECT CASE file WHEN '' THEN 'the database in memory' ELSE 'the file ' || file END AS text
        FROM pragma_database_list WHERE name = 'main'
        UNION ALL
        SELECT '(the tables of the attached database \"' || name || '\" do not count: open its file ' ||
            file || ' by itself)'
        FROM pragma_database_list WHERE name NOT IN ('main', 'temp'))";

    fn bind<'b>(value: &'b Value<'_>, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()> {
        dialect::bind(value, out)
    }
}
