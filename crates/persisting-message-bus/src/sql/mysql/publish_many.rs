use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::result::QueryResult;

use crate::message::raw::RawMessage;
use crate::sql::mysql::chunks::in_chunks;
use crate::sql::mysql::publish_errors::is_stored;
use crate::sql::mysql::row_writer::insert_messages;
use crate::sql::row_writer::PlainTopic;
use crate::sql::schema::TableSchema;
use crate::sql::statements::duplicates::{is_unique_violation, names_duplicate};
use crate::store::repository::OnDuplicate;

/// Messages that are persisted together.
#[derive(Clone, Copy)]
pub(super) struct Batch<'a> {
    pub(super) messages: &'a [RawMessage],
    pub(super) duplicates: OnDuplicate,
    /// The maximum size of each statement, in bytes.
    pub(super) most_bytes: usize,
}

impl<'a> Batch<'a> {
    fn parts(self) -> impl Iterator<Item = &'a [RawMessage]> {
        in_chunks(self.messages, self.most_bytes)
    }
}

/// Inserts the messages, in a transaction that is rolled back after an error.
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
            OnDuplicate::Fail => insert_part(connection, schema, part),
            OnDuplicate::Ignore => insert_new(connection, schema, part),
        };
        Ok(inserted + of_part?)
    })
}

/// Inserts the messages, all of them or none, in a transaction that may continue after an error.
pub(super) fn insert_all_or_none<C>(
    connection: &mut C,
    schema: &TableSchema,
    batch: Batch<'_>,
) -> QueryResult<usize>
where
    C: LoadConnection<Backend = Mysql>,
{
    let in_one_statement = match batch.duplicates {
        OnDuplicate::Fail => batch.parts().nth(1).is_none(),
        OnDuplicate::Ignore => batch.messages.len() == 1,
    };
    if in_one_statement {
        return insert(connection, schema, batch);
    }
    connection.transaction(|connection| insert(connection, schema, batch))
}

/// Inserts the messages whose id is not taken.
///
/// INSERT IGNORE is not used, because it would also ignore a payload that does not fit into its
/// column. The ids are not queried first, because that would keep other transactions from inserting
/// where the ids are missing.
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
            Err(cause)
                if names_duplicate(&cause, message)
                    && is_stored(connection, &schema.messages, message)? =>
            {
                0
            }
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
    insert_messages::<PlainTopic, C>(connection, schema, part)
}
