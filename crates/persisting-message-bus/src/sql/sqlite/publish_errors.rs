//! Errors of publishing on SQLite, which names no duplicate.

use std::collections::HashSet;

use diesel::result::{Error as DieselError, QueryResult};
use diesel::sqlite::Sqlite;

use crate::error::Error;
use crate::message::raw::RawMessage;
use crate::sql::executor::Executor;
use crate::sql::publish_errors;
use crate::sql::schema::MessageTable;
use crate::sql::statements::duplicates::{is_stored, is_unique_violation};

/// A statement that the database has refused.
pub(super) struct Refused {
    /// The number of messages that earlier statements of the batch have inserted, or ignored.
    pub(super) passed: usize,
    pub(super) cause: DieselError,
}

/// Returns the error of messages that were not persisted. `can_wait` tells whether the transaction
/// is the library's own, so that it could wait for other writers.
pub(super) async fn not_persisted<E>(
    executor: &mut E,
    table: &MessageTable,
    refused: Refused,
    messages: &[RawMessage],
    can_wait: bool,
) -> Error
where
    E: Executor<Backend = Sqlite>,
{
    let Refused { passed, cause } = refused;
    if is_unique_violation(&cause)
        && let Ok(Some(duplicate)) = first_duplicate(executor, table, messages, passed).await
    {
        return Error::duplicate_message(duplicate);
    }
    publish_errors::failed_persisting(persisting(messages, can_wait), cause, messages)
}

/// Returns the first message after those that were passed whose id exists already, in the table or
/// earlier in the batch. The passed messages are in the table too, because this batch has inserted
/// them.
async fn first_duplicate<'a, E>(
    executor: &mut E,
    table: &MessageTable,
    messages: &'a [RawMessage],
    passed: usize,
) -> QueryResult<Option<&'a RawMessage>>
where
    E: Executor<Backend = Sqlite>,
{
    let mut seen = HashSet::new();
    for message in messages.iter().skip(passed) {
        if is_stored(executor, table, message, "").await? || !seen.insert(message.message_id) {
            return Ok(Some(message));
        }
    }
    Ok(None)
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
