//! Publishing without a transaction of several statements, where one statement is enough.

use diesel::mysql::Mysql;

use crate::error::Error;
use crate::message::raw::RawMessage;
use crate::sql::executor::Executor;
use crate::sql::mysql::chunks::fit_into_one;
use crate::sql::mysql::publish_autocommit;
use crate::sql::mysql::publish_errors::{is_stored, not_persisted};
use crate::sql::mysql::publish_many::Batch;
use crate::sql::schema::TableSchema;
use crate::sql::statements::duplicates::named_duplicate;
use crate::store::repository::OnDuplicate;

/// Returns `true` if one statement can write the batch. If several messages can be a mixture of new
/// ones and duplicates, that takes more than one statement.
pub(super) fn can_be_written_at_once(batch: Batch<'_>) -> bool {
    let same_topic = |pair: &[RawMessage]| matches!(pair, [one, other] if one.topic == other.topic);
    match batch.messages {
        [] => false,
        [_] => true,
        messages => {
            batch.duplicates == OnDuplicate::Fail
                && messages.windows(2).all(same_topic)
                && fit_into_one(messages, batch.most_bytes)
        }
    }
}

/// Persists messages in one statement. Returns `None` if that takes more statements, even if only
/// to find out what is wrong.
pub(super) async fn write_at_once<E>(
    executor: &mut E,
    schema: &TableSchema,
    messages: &[RawMessage],
    duplicates: OnDuplicate,
) -> Option<Result<usize, Error>>
where
    E: Executor<Backend = Mysql>,
{
    match publish_autocommit::insert(executor, schema, messages).await {
        Ok(inserted) => Some(Ok(inserted)),
        Err(cause) if publish_autocommit::needs_fallback(&cause) => None,
        Err(cause) => {
            let table = &schema.messages;
            let named = named_duplicate(&cause, messages);
            if duplicates == OnDuplicate::Ignore
                && let Some(named) = named
                && let Ok(true) = is_stored(executor, table, named).await
            {
                return Some(Ok(0));
            }
            Some(Err(not_persisted(executor, table, cause, messages).await))
        }
    }
}
