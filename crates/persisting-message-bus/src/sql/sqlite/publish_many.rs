use diesel::sqlite::Sqlite;

use crate::error::Error;
use crate::message::raw::RawMessage;
use crate::sql::chunks::{MAX_BYTES, Most, in_chunks};
use crate::sql::error::failed_while;
use crate::sql::executor::Executor;
use crate::sql::own_transactions::{OwnTransaction, is_in_transaction};
use crate::sql::publish_errors::persisting;
use crate::sql::schema::{MessageTable, TableSchema};
use crate::sql::sqlite::publish_errors::{Refused, not_persisted};
use crate::sql::sqlite::row_writer::insert_messages;
use crate::sql::statements::duplicates::is_stored;
use crate::store::repository::OnDuplicate;

/// The maximum size of a statement. More rows do not make a statement faster, and SQLite accepts at
/// most 32,766 values.
const MAX_CHUNK: Most = Most {
    rows: 512,
    bytes: MAX_BYTES,
};

/// Inserts the messages, all of them or none.
pub(super) async fn insert<E>(
    executor: &mut E,
    schema: &TableSchema,
    messages: &[RawMessage],
    duplicates: OnDuplicate,
) -> Result<usize, Error>
where
    E: Executor<Backend = Sqlite>,
{
    // There is nothing to undo after one statement.
    let can_wait = !is_in_transaction(executor);
    if let [_] = messages {
        return insert_or_reason(executor, schema, messages, duplicates, can_wait).await;
    }
    let transaction = OwnTransaction::begin(executor).await?;
    let executor = &mut *transaction.executor;
    let inserted = insert_or_reason(executor, schema, messages, duplicates, can_wait).await;
    transaction.end(inserted).await
}

async fn insert_or_reason<E>(
    executor: &mut E,
    schema: &TableSchema,
    messages: &[RawMessage],
    duplicates: OnDuplicate,
    can_wait: bool,
) -> Result<usize, Error>
where
    E: Executor<Backend = Sqlite>,
{
    let table = &schema.messages;
    match insert_all(executor, schema, messages, duplicates).await {
        Ok(inserted) => {
            if inserted < messages.len() {
                check_that_none_was_dropped(executor, table, messages).await?;
            }
            Ok(inserted)
        }
        Err(refused) => Err(not_persisted(executor, table, refused, messages, can_wait).await),
    }
}

async fn insert_all<E>(
    executor: &mut E,
    schema: &TableSchema,
    messages: &[RawMessage],
    duplicates: OnDuplicate,
) -> Result<usize, Refused>
where
    E: Executor<Backend = Sqlite>,
{
    let (mut passed, mut inserted) = (0, 0);
    for part in in_chunks(messages, MAX_CHUNK, power_of_two) {
        let of_part = insert_messages(executor, schema, part, duplicates).await;
        inserted += of_part.map_err(|cause| Refused { passed, cause })?;
        passed += part.len();
    }
    Ok(inserted)
}

/// Checks that each message is stored, now or from before. A trigger can drop a row with
/// `RAISE(IGNORE)`, which is no error.
async fn check_that_none_was_dropped<E>(
    executor: &mut E,
    table: &MessageTable,
    messages: &[RawMessage],
) -> Result<(), Error>
where
    E: Executor<Backend = Sqlite>,
{
    for message in messages {
        let stored = is_stored(executor, table, message, "").await;
        if !stored.map_err(|cause| failed_while(persisting(messages), cause))? {
            return Err(Error::dropped_by_database(message, ""));
        }
    }
    Ok(())
}

/// Returns the largest power of two up to a number: 512, 256, ... 1 rows need only ten statement
/// texts.
fn power_of_two(fitting: usize) -> usize {
    fitting.checked_ilog2().map_or(0, |exponent| 1 << exponent)
}
