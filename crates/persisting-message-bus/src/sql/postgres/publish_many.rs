//! Publishing of several messages: by COPY if there are very many, and otherwise by rows of arrays.

use diesel::connection::LoadConnection;
use diesel::pg::Pg;
#[cfg(feature = "postgres")]
use diesel::result::Error::RollbackTransaction;

use crate::error::Error;
use crate::message::raw::RawMessage;
use crate::sql::postgres::fitness::Use;
use crate::sql::postgres::left_out;
#[cfg(feature = "postgres")]
use crate::sql::postgres::publish_autocommit::needs_fallback;
#[cfg(feature = "postgres")]
use crate::sql::postgres::publish_copy;
use crate::sql::postgres::publish_errors::not_persisted;
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
) -> Result<usize, Error>
where
    C: LoadConnection<Backend = Pg> + 'static,
{
    let leave_out = duplicates == OnDuplicate::Ignore;
    #[cfg(feature = "postgres")]
    if !leave_out && table.is_default() {
        match publish_copy::messages(connection, table, messages) {
            None => {}
            // Row-level security, for example, does not allow COPY. A trigger may have dropped rows.
            Some(Err(cause)) if needs_fallback(&cause) || cause == RollbackTransaction => {}
            Some(copied) => {
                return copied.map_err(|cause| not_persisted(table, cause, messages));
            }
        }
    }
    let insert = |connection: &mut C, rows, use_of| {
        connection
            .execute_returning_count(&insert_messages(table, rows, leave_out, use_of))
            .map_err(|cause| not_persisted(table, cause, messages))
    };
    let one_statement = messages.len() <= MAX_ROWS;
    if one_statement && (leave_out || !is_in_transaction(connection)) {
        let inserted = insert(connection, messages, Use::Alone)?;
        if inserted == messages.len() || leave_out && all_are_there(connection, table, messages)? {
            return Ok(inserted);
        }
    }
    connection.transaction(|connection| {
        let mut chunks = messages.chunks(MAX_ROWS);
        chunks.try_fold(0, |before, rows| {
            let inserted = insert(connection, rows, Use::InTransaction)?;
            if inserted < rows.len() {
                left_out::check(connection, table, rows, duplicates)?;
            }
            Ok(before + inserted)
        })
    })
}

fn all_are_there<C>(
    connection: &mut C,
    table: &MessageTable,
    messages: &[RawMessage],
) -> Result<bool, Error>
where
    C: LoadConnection<Backend = Pg>,
{
    let missing = left_out::first_missing(connection, table, messages);
    let missing = missing.map_err(|cause| not_persisted(table, cause, messages))?;
    Ok(missing.is_none())
}
