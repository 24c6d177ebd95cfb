use diesel::connection::LoadConnection;
use diesel::pg::Pg;
use diesel::query_builder::AstPass;
use diesel::result::QueryResult;

use super::copy;
use super::insert::{MOST_ROWS, insert_messages};
use super::insert_one::InsertOne;
use super::single::{InsertSingle, is_refused};
use crate::diesel::duplicates::{is_unique_violation, named_duplicate, names_duplicate};
use crate::diesel::oversized::not_persisted;
use crate::diesel::statement::{self, Dialect, Value};
use crate::diesel::transactions::is_in_transaction;
use crate::diesel::{MessageTable, TableSchema};
use crate::{Duplicates, Error, RawMessage};

impl Dialect for Pg {
    const NOW: &'static str = "clock_timestamp()";
    const AHEAD: &'static str = "clock_timestamp() + ? * interval '1 millisecond'";

    const UUID: &'static str = "?::uuid";

    fn bind<'b>(value: &'b Value<'_>, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()> {
        statement::bind(value, out)
    }
}

pub(super) fn persist<C>(
    connection: &mut C,
    table: &MessageTable,
    messages: &[RawMessage],
    duplicates: Duplicates,
) -> Result<usize, Error>
where
    C: LoadConnection<Backend = Pg> + 'static,
{
    let inserted = match messages {
        [message] => insert_one(connection, table, message, duplicates),
        _ => insert_all(connection, table, messages, duplicates),
    };
    match inserted {
        // It is noticed by the count, without an error that would end the caller's transaction.
        Ok(0)
            if duplicates == Duplicates::Fail
                && let [message] = messages =>
        {
            Err(Error::duplicate_message(message))
        }
        Ok(inserted) => Ok(inserted),
        Err(cause) => Err(match named_duplicate(&cause, messages) {
            Some(duplicate) => Error::duplicate_message(duplicate),
            None => not_persisted(persisting(messages), cause, messages),
        }),
    }
}

fn insert_one<C>(
    connection: &mut C,
    table: &MessageTable,
    message: &RawMessage,
    duplicates: Duplicates,
) -> QueryResult<usize>
where
    C: LoadConnection<Backend = Pg>,
{
    // A duplicate makes that statement fail, and the server log it.
    if duplicates == Duplicates::Ignore || is_in_transaction(connection) {
        return insert_anywhere::<false, C>(connection, table, message);
    }
    match insert_single(connection, table, message) {
        Ok(0) => {}
        Err(cause) if is_refused(&cause) => {}
        // Under row-level security, PostgreSQL does not say which.
        Err(cause) if is_unique_violation(&cause) && !names_duplicate(&cause, message) => {}
        inserted => return inserted,
    }
    insert_anywhere::<true, C>(connection, table, message)
}

fn insert_anywhere<const TELLS: bool, C>(
    connection: &mut C,
    table: &MessageTable,
    message: &RawMessage,
) -> QueryResult<usize>
where
    C: LoadConnection<Backend = Pg>,
{
    if is_default(table) {
        connection.execute_returning_count(&InsertOne::<true, TELLS>::new(table, message))
    } else {
        connection.execute_returning_count(&InsertOne::<false, TELLS>::new(table, message))
    }
}

fn insert_single<C>(
    connection: &mut C,
    table: &MessageTable,
    message: &RawMessage,
) -> QueryResult<usize>
where
    C: LoadConnection<Backend = Pg>,
{
    if is_default(table) {
        connection.execute_returning_count(&InsertSingle::<true>::new(table, message))
    } else {
        connection.execute_returning_count(&InsertSingle::<false>::new(table, message))
    }
}

/// Whether it has statements with types of their own.
fn is_default(table: &MessageTable) -> bool {
    *table == TableSchema::DEFAULT.messages
}

fn insert_all<C>(
    connection: &mut C,
    table: &MessageTable,
    messages: &[RawMessage],
    duplicates: Duplicates,
) -> QueryResult<usize>
where
    C: LoadConnection<Backend = Pg> + 'static,
{
    let leave_out = duplicates == Duplicates::Ignore;
    if !leave_out && is_default(table) {
        match copy::messages(connection, table, messages) {
            None => {}
            // Row-level security, for one, allows no COPY.
            Some(Err(cause)) if is_refused(&cause) => {}
            Some(copied) => return copied,
        }
    }
    let insert = |connection: &mut C, rows| {
        connection.execute_returning_count(&insert_messages(table, rows, leave_out))
    };
    let one_statement = messages.len() <= MOST_ROWS;
    if one_statement && (leave_out || !is_in_transaction(connection)) {
        return insert(connection, messages);
    }
    connection.transaction(|connection| {
        let mut chunks = messages.chunks(MOST_ROWS);
        chunks.try_fold(0, |inserted, rows| Ok(inserted + insert(connection, rows)?))
    })
}

fn persisting(messages: &[RawMessage]) -> String {
    let topic = messages.first().map_or("", |message| &message.topic);
    format!(
        "persisting {} messages of topic \"{topic}\"",
        messages.len()
    )
}
