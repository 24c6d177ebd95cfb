//! Errors of publishing, and the duplicates among them.

use std::collections::HashSet;

use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::result::{Error as DieselError, QueryResult};

use crate::error::Error;
use crate::message::raw::RawMessage;
use crate::sql::publish_errors::{self, failed_persisting, persisting};
use crate::sql::schema::MessageTable;
use crate::sql::statements::duplicates::{self, named_duplicate};

/// Returns the error of messages that were not persisted.
pub(super) fn not_persisted<C>(
    connection: &mut C,
    table: &MessageTable,
    cause: DieselError,
    messages: &[RawMessage],
) -> Error
where
    C: LoadConnection<Backend = Mysql>,
{
    if let Some(named) = named_duplicate(&cause, messages)
        && !is_twice_in(messages)
        && let Ok(false) = is_stored(connection, table, named)
    {
        return failed_persisting(persisting(messages), cause, messages);
    }
    publish_errors::not_persisted(cause, messages)
}

/// Returns `true` if the table has the message that the database names as a duplicate.
///
/// The error can be that of another table, into which a trigger of the message table inserts the
/// id. Then the message is no duplicate and was not stored.
///
/// Only a read that locks the row sees what was committed since the transaction began. The insert
/// has left that lock on a duplicate already, so the read does not wait.
pub(super) fn is_stored<C>(
    connection: &mut C,
    table: &MessageTable,
    message: &RawMessage,
) -> QueryResult<bool>
where
    C: LoadConnection<Backend = Mysql>,
{
    duplicates::is_stored(connection, table, message, "LOCK IN SHARE MODE")
}

fn is_twice_in(messages: &[RawMessage]) -> bool {
    let mut seen = HashSet::new();
    messages.iter().any(|it| !seen.insert(it.message_id))
}
