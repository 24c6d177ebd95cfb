//! Publishing of several messages: by COPY if there are very many, and otherwise by rows of arrays.

use diesel::connection::LoadConnection;
use diesel::pg::Pg;
use diesel::result::QueryResult;

use crate::message::raw::RawMessage;
use crate::sql::postgres::publish_autocommit::needs_fallback;
use crate::sql::postgres::publish_copy;
use crate::sql::postgres::unnested_rows::{MAX_ROWS, insert_messages};
use crate::sql::schema::MessageTable;
use crate::sql::transactions::is_in_transaction;
use crate::store::repository::OnDuplicate;

/// Inserts messages, all of them or none, and returns the number of inserted messages.
pub(super) fn insert<C>(
    connection: &mut C,
    table: &MessageTable,
    messages: &[RawMessage],
    duplicates: OnDuplicate,
) -> QueryResult<usize>
where
    C: LoadConnection<Backend = Pg> + 'static,
{
    let leave_out = duplicates == OnDuplicate::Ignore;
    if !leave_out && table.is_default() {
        match publish_copy::messages(connection, table, messages) {
            None => {}
            // Row-level security, for example, does not allow COPY.
            Some(Err(cause)) if needs_fallback(&cause) => {}
            Some(copied) => return copied,
        }
    }
    let insert = |connection: &mut C, rows| {
        connection.execute_returning_count(&insert_messages(table, rows, leave_out))
    };
    let one_statement = messages.len() <= MAX_ROWS;
    if one_statement && (leave_out || !is_in_transaction(connection)) {
        return insert(connection, messages);
    }
    connection.transaction(|connection| {
        let mut chunks = messages.chunks(MAX_ROWS);
        chunks.try_fold(0, |inserted, rows| Ok(inserted + insert(connection, rows)?))
    })
}
