use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;

use crate::error::Error;
use crate::position::Position;
use crate::sql::dialect::Statement;
use crate::sql::dialect::Value::Text;
use crate::sql::error::failed_while;
use crate::sql::rows::first_row;
use crate::sql::schema::MessageTable;

/// Returns the last position. The table's status contains the next position, even if the last rows
/// were pruned. MySQL may remember an older status for a day, so the last row is read, too.
pub(super) fn last_position<C>(connection: &mut C, table: &MessageTable) -> Result<Position, Error>
where
    C: LoadConnection<Backend = Mysql> + 'static,
{
    let sql = "SELECT greatest(
            coalesce((SELECT max({id}) FROM {table}), 0),
            coalesce((SELECT auto_increment - 1 FROM information_schema.tables
                WHERE table_schema = database() AND table_name = ?), 0)
        )";
    let statement = Statement::new(sql, table, [Text(&table.table)]);
    let last = first_row(connection, statement, |[last]| last.integer("position"));
    last.map(|last| Position::new(last.unwrap_or(0)))
        .map_err(|cause| {
            let doing = format!("reading the last position of table \"{}\"", table.table);
            failed_while(doing, cause)
        })
}
