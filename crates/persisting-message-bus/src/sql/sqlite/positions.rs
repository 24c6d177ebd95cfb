use diesel::connection::LoadConnection;
use diesel::sqlite::Sqlite;

use crate::error::Error;
use crate::position::Position;
use crate::sql::dialect::Statement;
use crate::sql::dialect::Value::Text;
use crate::sql::error::failed_while;
use crate::sql::rows::first_row;
use crate::sql::schema::MessageTable;

/// Returns the last position, which AUTOINCREMENT remembers. For a table with rows but no
/// AUTOINCREMENT, the statement returns NULL, which is an error.
///
/// SQLite has one writer at a time. So every position below that of a committed message is
/// committed or rolled back, too, and the last position is the high-water mark of every topic.
pub(super) fn last_position<C>(connection: &mut C, table: &MessageTable) -> Result<Position, Error>
where
    C: LoadConnection<Backend = Sqlite>,
{
    let sql = "SELECT coalesce(
            (SELECT seq FROM sqlite_sequence WHERE name = ? COLLATE NOCASE),
            CASE WHEN EXISTS (SELECT 1 FROM {table}) THEN NULL ELSE 0 END
        )";
    let statement = Statement::new(sql, table, [Text(&table.table)]);
    let last = first_row(connection, statement, |[last]| {
        last.integer("position").map(Position::new)
    });
    last.map(Option::unwrap_or_default).map_err(|cause| {
        let doing = format!(
            "reading the last position of table \"{}\", whose key must be AUTOINCREMENT",
            table.table
        );
        failed_while(doing, cause)
    })
}

/// Returns a number that changes after each commit of another connection to the file, in any
/// process.
pub(super) fn change_token<C>(
    connection: &mut C,
    table: &MessageTable,
) -> Result<Option<i64>, Error>
where
    C: LoadConnection<Backend = Sqlite>,
{
    let statement = Statement::new("PRAGMA data_version", table, []);
    first_row(connection, statement, |[version]| {
        version.integer("data_version")
    })
    .map_err(|cause| failed_while("asking whether the file has changed", cause))
}
