use diesel::connection::LoadConnection;
use diesel::sqlite::Sqlite;

use crate::error::Error;
use crate::position::Position;
use crate::sql::dialect::Statement;
use crate::sql::dialect::Value::Text;
use crate::sql::error::failed_while;
use crate::sql::rows::first_row;
use crate::sql::schema::MessageTable;
use crate::sql::sqlite::file::{self, FILE_AND_MARK, OpenFile};
use crate::sql::sqlite::waiting::note_token;

/// The last position, which AUTOINCREMENT remembers. It is never below that of the last row. For a
/// table with rows but no AUTOINCREMENT, this is NULL, which is an error.
const LAST: &str = "coalesce(
        (SELECT max(seq, coalesce((SELECT max({id}) FROM {table}), 0)) FROM sqlite_sequence
            WHERE name = ? COLLATE NOCASE),
        CASE WHEN EXISTS (SELECT 1 FROM {table}) THEN NULL ELSE 0 END
    )";

/// Returns the high-water mark of every topic, which is the last position.
///
/// SQLite has one writer at a time. So every position below that of a committed message is
/// committed or rolled back, too.
pub(super) fn high_water_mark<C>(
    connection: &mut C,
    table: &MessageTable,
) -> Result<Position, Error>
where
    C: LoadConnection<Backend = Sqlite> + 'static,
{
    let sql = format!("SELECT {LAST}, {FILE_AND_MARK}");
    let statement = Statement::new(sql, table, [Text(&table.table)]);
    let read = first_row(connection, statement, |[last, path, mark]| {
        let file = OpenFile::read(path, mark)?;
        Ok((last.integer("position").map(Position::new)?, Some(file)))
    });
    let read = read.map_err(|cause| failed_while(doing(table), cause))?;
    let (last, file) = read.unwrap_or_default();
    if let Some(file) = file {
        file::check(connection, table, &file)?;
    }
    Ok(last)
}

/// Returns the last position.
pub(super) fn last_position<C>(connection: &mut C, table: &MessageTable) -> Result<Position, Error>
where
    C: LoadConnection<Backend = Sqlite> + 'static,
{
    let statement = Statement::new(format!("SELECT {LAST}"), table, [Text(&table.table)]);
    let last = first_row(connection, statement, |[last]| {
        last.integer("position").map(Position::new)
    });
    last.map(Option::unwrap_or_default)
        .map_err(|cause| failed_while(doing(table), cause))
}

fn doing(table: &MessageTable) -> String {
    let table = &table.table;
    format!("reading the last position of table \"{table}\", whose key must be AUTOINCREMENT")
}

/// Returns a number that changes after each commit of another connection to the file, in any
/// process.
pub(super) fn change_token<C>(
    connection: &mut C,
    table: &MessageTable,
) -> Result<Option<i64>, Error>
where
    C: LoadConnection<Backend = Sqlite> + 'static,
{
    let statement = Statement::new("PRAGMA data_version", table, []);
    let token = first_row(connection, statement, |[version]| {
        version.integer("data_version")
    });
    token
        .inspect(|token| note_token(*token))
        .map_err(|cause| failed_while("asking whether the file has changed", cause))
}
