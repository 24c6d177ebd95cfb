use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::result::QueryResult;

use super::insert_messages::{AsItIs, insert_messages};
use super::parts::in_parts;
use crate::diesel::TableSchema;
use crate::diesel::duplicates::{is_unique_violation, names_duplicate};
use crate::{Duplicates, RawMessage};

/// Messages that are persisted together.
#[derive(Clone, Copy)]
pub(super) struct Batch<'a> {
    pub(super) messages: &'a [RawMessage],
    pub(super) duplicates: Duplicates,
    /// How large each statement may be.
    pub(super) most_bytes: usize,
}

impl<'a> Batch<'a> {
    fn parts(self) -> impl Iterator<Item = &'a [RawMessage]> {
        in_parts(self.messages, self.most_bytes)
    }
}

/// Inserts the messages, in a transaction that does not outlive an error.
pub(super) fn insert<C>(
    connection: &mut C,
    schema: &TableSchema,
    batch: Batch<'_>,
) -> QueryResult<usize>
where
    C: LoadConnection<Backend = Mysql>,
{
    batch.parts().try_fold(0, |inserted, part| {
        let of_part = match batch.duplicates {
            Duplicates::Fail => insert_part(connection, schema, part),
            Duplicates::Ignore => insert_new(connection, schema, part),
        };
        Ok(inserted + of_part?)
    })
}

/// Inserts the messages, all of them or none, in a transaction that may go on behind an error.
pub(super) fn insert_all_or_none<C>(
    connection: &mut C,
    schema: &TableSchema,
    batch: Batch<'_>,
) -> QueryResult<usize>
where
    C: LoadConnection<Backend = Mysql>,
{
    let in_one_statement = match batch.duplicates {
        Duplicates::Fail => batch.parts().nth(1).is_none(),
        Duplicates::Ignore => batch.messages.len() == 1,
    };
    if in_one_statement {
        return insert(connection, schema, batch);
    }
    connection.transaction(|connection| insert(connection, schema, batch))
}

/// Inserts the messages whose id is not taken.
///
/// Not with INSERT IGNORE, which would also ignore a payload that does not fit into its column; and
/// without looking for ids, which would keep others from inserting where they are not.
fn insert_new<C>(
    connection: &mut C,
    schema: &TableSchema,
    part: &[RawMessage],
) -> QueryResult<usize>
where
    C: LoadConnection<Backend = Mysql>,
{
    match insert_part(connection, schema, part) {
        Err(cause) if is_unique_violation(&cause) => insert_one_by_one(connection, schema, part),
        inserted => inserted,
    }
}

fn insert_one_by_one<C>(
    connection: &mut C,
    schema: &TableSchema,
    part: &[RawMessage],
) -> QueryResult<usize>
where
    C: LoadConnection<Backend = Mysql>,
{
    let mut inserted = 0;
    for message in part {
        inserted += match insert_part(connection, schema, std::slice::from_ref(message)) {
            Err(cause) if names_duplicate(&cause, message) => 0,
            inserted => inserted?,
        };
    }
    Ok(inserted)
}

fn insert_part<C>(
    connection: &mut C,
    schema: &TableSchema,
    part: &[RawMessage],
) -> QueryResult<usize>
where
    C: LoadConnection<Backend = Mysql>,
{
    insert_messages::<AsItIs, C>(connection, schema, part)
}
