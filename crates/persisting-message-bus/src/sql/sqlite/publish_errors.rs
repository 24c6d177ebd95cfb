//! Errors of publishing on SQLite, which names no duplicate.

use std::collections::HashSet;

use diesel::connection::LoadConnection;
use diesel::result::{Error as DieselError, QueryResult};
use diesel::sqlite::Sqlite;

use crate::error::Error;
use crate::message::raw::RawMessage;
use crate::sql::dialect::Statement;
use crate::sql::dialect::Value::Text;
use crate::sql::publish_errors;
use crate::sql::rows::first_row;
use crate::sql::schema::MessageTable;
use crate::sql::statements::duplicates::is_unique_violation;

/// Returns the error of messages that were not persisted. `can_wait` tells whether the transaction
/// is the library's own, so that it could wait for other writers.
pub(super) fn not_persisted<C>(
    connection: &mut C,
    table: &MessageTable,
    cause: DieselError,
    messages: &[RawMessage],
    can_wait: bool,
) -> Error
where
    C: LoadConnection<Backend = Sqlite>,
{
    if is_unique_violation(&cause)
        && let Ok(Some(duplicate)) = first_duplicate(connection, table, messages)
    {
        return Error::duplicate_message(duplicate);
    }
    publish_errors::failed_persisting(persisting(messages, can_wait), cause, messages)
}

/// Returns the first message whose id exists already, in the table or earlier in the batch.
fn first_duplicate<'a, C>(
    connection: &mut C,
    table: &MessageTable,
    messages: &'a [RawMessage],
) -> QueryResult<Option<&'a RawMessage>>
where
    C: LoadConnection<Backend = Sqlite>,
{
    let mut seen = HashSet::new();
    for message in messages {
        if is_stored(connection, table, message)? || !seen.insert(message.message_id) {
            return Ok(Some(message));
        }
    }
    Ok(None)
}

/// Returns `true` if the table has a message with this id.
pub(super) fn is_stored<C>(
    connection: &mut C,
    table: &MessageTable,
    message: &RawMessage,
) -> QueryResult<bool>
where
    C: LoadConnection<Backend = Sqlite>,
{
    let id = message.message_id.to_string();
    let sql = "SELECT 1 FROM {table} WHERE {message_id} = ?";
    let statement = Statement::new(sql, table, [Text(&id)]);
    Ok(first_row(connection, statement, |[]| Ok(()))?.is_some())
}

fn persisting(messages: &[RawMessage], can_wait: bool) -> String {
    let doing = publish_errors::persisting(messages);
    if can_wait {
        return doing;
    }
    format!(
        "{doing} (a transaction that has read before cannot wait for other writers: dispatch in an \
         immediate_transaction)"
    )
}
