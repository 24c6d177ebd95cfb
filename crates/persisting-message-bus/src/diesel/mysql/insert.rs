use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::result::QueryResult;

use crate::RawMessage;
use crate::diesel::MessageTable;
use crate::diesel::duplicates::{is_unique_violation, names_duplicate};
use crate::diesel::insert::{Row, in_parts, insert};

/// Inserts the messages, all of them or none.
pub(super) fn insert_all<C>(
    connection: &mut C,
    table: &MessageTable,
    messages: &[&RawMessage],
) -> QueryResult<usize>
where
    C: LoadConnection<Backend = Mysql>,
{
    let mut parts = in_parts(messages).peekable();
    match parts.next() {
        Some(only) if parts.peek().is_none() => insert_part(connection, table, only),
        Some(first) => connection.transaction(|connection| {
            let mut parts = std::iter::once(first).chain(parts);
            parts.try_fold(0, |inserted, part| {
                Ok(inserted + insert_part(connection, table, part)?)
            })
        }),
        None => Ok(0),
    }
}

/// Inserts the messages whose id is not taken.
///
/// Not with INSERT IGNORE, which would also ignore a payload that does not fit into its column; and
/// without looking for ids, which would keep others from inserting where they are not.
pub(super) fn insert_new<C>(
    connection: &mut C,
    table: &MessageTable,
    messages: &[&RawMessage],
) -> QueryResult<usize>
where
    C: LoadConnection<Backend = Mysql>,
{
    let mut inserted = 0;
    for part in in_parts(messages) {
        inserted += match insert_part(connection, table, part) {
            Err(cause) if is_unique_violation(&cause) => {
                insert_one_by_one(connection, table, part)?
            }
            inserted => inserted?,
        };
    }
    Ok(inserted)
}

fn insert_one_by_one<C>(
    connection: &mut C,
    table: &MessageTable,
    part: &[&RawMessage],
) -> QueryResult<usize>
where
    C: LoadConnection<Backend = Mysql>,
{
    let mut inserted = 0;
    for message in part {
        inserted += match insert_part(connection, table, &[message]) {
            Err(cause) if names_duplicate(&cause, message) => 0,
            inserted => inserted?,
        };
    }
    Ok(inserted)
}

fn insert_part<C>(
    connection: &mut C,
    table: &MessageTable,
    part: &[&RawMessage],
) -> QueryResult<usize>
where
    C: LoadConnection<Backend = Mysql>,
{
    let rows: Vec<_> = part.iter().map(|message| row(message)).collect();
    connection.execute_returning_count(&insert(table, &rows, ""))
}

pub(super) fn row(message: &RawMessage) -> Row<'_> {
    Row {
        message,
        message_id: message.message_id.to_string(),
        published_at: message.published_at.format("%F %T%.6f").to_string(),
    }
}
