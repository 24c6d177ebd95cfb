//! Publishing of several messages: by COPY if there are very many, and otherwise by rows of arrays.

use diesel::pg::Pg;
#[cfg(feature = "postgres")]
use diesel::result::Error::RollbackTransaction;

use crate::error::Error;
use crate::message::raw::RawMessage;
use crate::sql::executor::Executor;
use crate::sql::own_transactions::{OwnTransaction, is_in_transaction};
use crate::sql::postgres::fitness::Use;
use crate::sql::postgres::left_out;
#[cfg(feature = "postgres")]
use crate::sql::postgres::publish_autocommit::needs_fallback;
#[cfg(feature = "postgres")]
use crate::sql::postgres::publish_copy;
use crate::sql::postgres::publish_errors::not_persisted;
use crate::sql::postgres::unnested_rows::{MAX_ROWS, insert_messages};
use crate::sql::schema::MessageTable;
use crate::store::repository::OnDuplicate;

/// Inserts messages, all of them or none, and returns the number of inserted messages.
pub(super) async fn insert<E>(
    executor: &mut E,
    table: &MessageTable,
    messages: &[RawMessage],
    duplicates: OnDuplicate,
) -> Result<usize, Error>
where
    E: Executor<Backend = Pg>,
{
    let leave_out = duplicates == OnDuplicate::Ignore;
    #[cfg(feature = "postgres")]
    if !leave_out && table.is_default() {
        match publish_copy::messages(executor, table, messages) {
            None => {}
            // Row-level security, for example, does not allow COPY. A trigger may have dropped rows.
            Some(Err(cause)) if needs_fallback(&cause) || cause == RollbackTransaction => {}
            Some(copied) => {
                return copied.map_err(|cause| not_persisted(table, cause, messages));
            }
        }
    }
    let one_statement = messages.len() <= MAX_ROWS;
    if one_statement && (leave_out || !is_in_transaction(executor)) {
        let statement = insert_messages(table, messages, leave_out, Use::Alone);
        let inserted = executor.execute(statement).await;
        let inserted = inserted.map_err(|cause| not_persisted(table, cause, messages))?;
        if inserted == messages.len()
            || leave_out && all_are_there(executor, table, messages).await?
        {
            return Ok(inserted);
        }
    }
    let transaction = OwnTransaction::begin(executor).await?;
    let inserted = insert_chunks(transaction.executor, table, messages, duplicates).await;
    transaction.end(inserted).await
}

async fn insert_chunks<E>(
    executor: &mut E,
    table: &MessageTable,
    messages: &[RawMessage],
    duplicates: OnDuplicate,
) -> Result<usize, Error>
where
    E: Executor<Backend = Pg>,
{
    let leave_out = duplicates == OnDuplicate::Ignore;
    let mut inserted = 0;
    for rows in messages.chunks(MAX_ROWS) {
        let statement = insert_messages(table, rows, leave_out, Use::InTransaction);
        let of_rows = executor.execute(statement).await;
        let of_rows = of_rows.map_err(|cause| not_persisted(table, cause, messages))?;
        if of_rows < rows.len() {
            left_out::check(executor, table, rows, duplicates).await?;
        }
        inserted += of_rows;
    }
    Ok(inserted)
}

async fn all_are_there<E>(
    executor: &mut E,
    table: &MessageTable,
    messages: &[RawMessage],
) -> Result<bool, Error>
where
    E: Executor<Backend = Pg>,
{
    let missing = left_out::first_missing(executor, table, messages).await;
    let missing = missing.map_err(|cause| not_persisted(table, cause, messages))?;
    Ok(missing.is_none())
}
