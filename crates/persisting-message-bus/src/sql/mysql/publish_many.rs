use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::result::QueryResult;

use crate::message::raw::RawMessage;
use crate::sql::mysql::chunks::in_chunks;
use crate::sql::mysql::publish_errors::is_stored;
use crate::sql::mysql::row_writer::insert_messages;
use crate::sql::row_writer::TopicExpression;
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
    /// Splits the messages into those of each statement.
    fn parts<T: TopicExpression<Mysql>>(self) -> impl Iterator<Item = &'a [RawMessage]> {
        let topics = self
            .messages
            .chunk_by(|one, other| !T::IS_FOR_ALL_ROWS || one.topic == other.topic);
        topics.flat_map(move |messages| in_chunks(messages, self.most_bytes))
    }
}

/// Inserts the messages, in a transaction that is rolled back after an error.
pub(super) fn insert<T, C>(
    connection: &mut C,
    schema: &TableSchema,
    batch: Batch<'_>,
) -> QueryResult<usize>
where
    T: TopicExpression<Mysql>,
    C: LoadConnection<Backend = Mysql>,
{
    batch.parts::<T>().try_fold(0, |inserted, part| {
        let of_part = match batch.duplicates {
            OnDuplicate::Fail => insert_messages::<T, C>(connection, schema, part),
            OnDuplicate::Ignore => insert_new::<T, C>(connection, schema, part),
        };
        Ok(inserted + of_part?)
    })
}

/// Inserts the messages, all of them or none, in a transaction that may continue after an error.
pub(super) fn insert_all_or_none<T, C>(
    connection: &mut C,
    schema: &TableSchema,
    batch: Batch<'_>,
) -> QueryResult<usize>
where
    T: TopicExpression<Mysql>,
    C: LoadConnection<Backend = Mysql>,
{
    let in_one_statement = match batch.duplicates {
        OnDuplicate::Fail => batch.parts::<T>().nth(1).is_none(),
        OnDuplicate::Ignore => batch.messages.len() == 1,
    };
    if in_one_statement {
        return insert::<T, C>(connection, schema, batch);
    }
    connection.transaction(|connection| insert::<T, C>(connection, schema, batch))
}

/// Inserts the messages whose id is not taken.
///
/// INSERT IGNORE is not used, because it would also ignore a payload that does not fit into its
/// column. The ids are not queried first, because that would keep other transactions from inserting
/// where the ids are missing.
fn insert_new<T, C>(
    connection: &mut C,
    schema: &TableSchema,
    part: &[RawMessage],
) -> QueryResult<usize>
where
    T: TopicExpression<Mysql>,
    C: LoadConnection<Backend = Mysql>,
{
    match insert_messages::<T, C>(connection, schema, part) {
        Err(cause) if is_unique_violation(&cause) => {
            insert_one_by_one::<T, C>(connection, schema, part)
        }
        inserted => inserted,
    }
}

fn insert_one_by_one<T, C>(
    connection: &mut C,
    schema: &TableSchema,
    part: &[RawMessage],
) -> QueryResult<usize>
where
    T: TopicExpression<Mysql>,
    C: LoadConnection<Backend = Mysql>,
{
    let mut inserted = 0;
    for message in part {
        inserted += match insert_messages::<T, C>(connection, schema, std::slice::from_ref(message))
        {
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
