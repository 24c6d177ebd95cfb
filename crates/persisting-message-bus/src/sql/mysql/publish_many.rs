use diesel::mysql::Mysql;
use diesel::result::QueryResult;

use crate::message::raw::RawMessage;
use crate::sql::executor::Executor;
use crate::sql::mysql::chunks::in_chunks;
use crate::sql::mysql::publish_errors::is_stored;
use crate::sql::mysql::row_writer::insert_messages;
use crate::sql::own_transactions::end_inner;
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
    /// Whether they are persisted in a transaction of the caller.
    pub(super) is_in_transaction: bool,
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

/// Inserts the messages, all of them or none: in one statement, or in a transaction that is rolled back
/// after an error. The caller's transaction may go on after an error, so several statements have a
/// savepoint in it.
pub(super) async fn insert<T, E>(
    executor: &mut E,
    schema: &TableSchema,
    batch: Batch<'_>,
) -> QueryResult<usize>
where
    T: TopicExpression<Mysql>,
    E: Executor<Backend = Mysql>,
{
    let in_one_statement = match batch.duplicates {
        OnDuplicate::Fail => batch.parts::<T>().nth(1).is_none(),
        OnDuplicate::Ignore => batch.messages.len() == 1,
    };
    if in_one_statement || !batch.is_in_transaction {
        return insert_parts::<T, E>(executor, schema, batch).await;
    }
    executor.begin().await?;
    let inserted = insert_parts::<T, E>(executor, schema, batch).await;
    end_inner(executor, inserted).await
}

async fn insert_parts<T, E>(
    executor: &mut E,
    schema: &TableSchema,
    batch: Batch<'_>,
) -> QueryResult<usize>
where
    T: TopicExpression<Mysql>,
    E: Executor<Backend = Mysql>,
{
    let parts: Vec<_> = batch.parts::<T>().collect();
    let mut inserted = 0;
    for part in parts {
        inserted += match batch.duplicates {
            OnDuplicate::Fail => insert_messages::<T, E>(executor, schema, part).await?,
            OnDuplicate::Ignore => insert_new::<T, E>(executor, schema, part).await?,
        };
    }
    Ok(inserted)
}

/// Inserts the messages whose id is not taken.
///
/// INSERT IGNORE is not used, because it would also ignore a payload that does not fit into its
/// column. The ids are not queried first, because that would keep other transactions from inserting
/// where the ids are missing.
async fn insert_new<T, E>(
    executor: &mut E,
    schema: &TableSchema,
    part: &[RawMessage],
) -> QueryResult<usize>
where
    T: TopicExpression<Mysql>,
    E: Executor<Backend = Mysql>,
{
    match insert_messages::<T, E>(executor, schema, part).await {
        Err(cause) if is_unique_violation(&cause) => {
            insert_one_by_one::<T, E>(executor, schema, part).await
        }
        inserted => inserted,
    }
}

async fn insert_one_by_one<T, E>(
    executor: &mut E,
    schema: &TableSchema,
    part: &[RawMessage],
) -> QueryResult<usize>
where
    T: TopicExpression<Mysql>,
    E: Executor<Backend = Mysql>,
{
    let mut inserted = 0;
    for message in part {
        let one = std::slice::from_ref(message);
        inserted += match insert_messages::<T, E>(executor, schema, one).await {
            Err(cause)
                if names_duplicate(&cause, message)
                    && is_stored(executor, &schema.messages, message).await? =>
            {
                0
            }
            inserted => inserted?,
        };
    }
    Ok(inserted)
}
