//! Errors of publishing, and the duplicates among them.

use std::collections::HashSet;

use diesel::mysql::Mysql;
use diesel::result::{Error as DieselError, QueryResult};

use crate::error::Error;
use crate::message::raw::RawMessage;
use crate::sql::executor::Executor;
use crate::sql::publish_errors::{self, failed_persisting, persisting};
use crate::sql::schema::MessageTable;
use crate::sql::statements::duplicates::{self, named_duplicate};

/// Returns the error of messages that were not persisted.
pub(super) async fn not_persisted<E>(
    executor: &mut E,
    table: &MessageTable,
    cause: DieselError,
    messages: &[RawMessage],
) -> Error
where
    E: Executor<Backend = Mysql>,
{
    if let Some(named) = named_duplicate(&cause, messages)
        && !is_twice_in(messages)
        && let Ok(false) = is_stored(executor, table, named).await
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
pub(super) async fn is_stored<E>(
    executor: &mut E,
    table: &MessageTable,
    message: &RawMessage,
) -> QueryResult<bool>
where
    E: Executor<Backend = Mysql>,
{
    duplicates::is_stored(executor, table, message, "LOCK IN SHARE MODE").await
}

fn is_twice_in(messages: &[RawMessage]) -> bool {
    let mut seen = HashSet::new();
    messages.iter().any(|it| !seen.insert(it.message_id))
}
