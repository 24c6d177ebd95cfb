//! Publishing on a table with the guard of foreign inserts: the trigger of `guard.rs` takes the slot.
//!
//! A statement must not insert without the trigger. So its topics are NULL, which the column does not
//! take, and the trigger sets them. The expression for the first topic stores the topic, and the
//! number of rows, in variables of the session. The trigger takes one slot for all rows.

use diesel::mysql::Mysql;
use diesel::query_builder::AstPass;
use diesel::result::{DatabaseErrorKind, Error as DieselError, QueryResult};
use diesel::sql_types::Text;

use crate::error::Error;
use crate::sql::dialect::Statement;
use crate::sql::executor::Executor;
use crate::sql::guard::missing_on;
use crate::sql::mysql::free_slots::{IN_TRANSACTION, SESSION, Session, session_of};
use crate::sql::mysql::publish_at_once::can_be_written_at_once;
use crate::sql::mysql::publish_autocommit::{FAILS_WHEN_EVALUATED, needs_fallback};
use crate::sql::mysql::publish_errors::not_persisted;
use crate::sql::mysql::publish_many::{Batch, insert};
use crate::sql::mysql::slots::{ENDED, NOT_STRICT};
use crate::sql::own_transactions::{OwnTransaction, is_in_transaction};
use crate::sql::publish_errors::persisting;
use crate::sql::row_writer::TopicExpression;
use crate::sql::schema::TableSchema;

/// Persists messages on a table with the guard.
pub(super) async fn persist<E>(
    executor: &mut E,
    schema: &TableSchema,
    batch: Batch<'_>,
) -> Result<usize, Error>
where
    E: Executor<Backend = Mysql>,
{
    if batch.is_in_transaction {
        let inserted = insert::<TopicFromGuard<true>, E>(executor, schema, batch).await;
        return or_reason(executor, schema, batch, inserted).await;
    }
    if can_be_written_at_once(batch) {
        match insert::<TopicFromGuard<false>, E>(executor, schema, batch).await {
            // The session does not commit by itself, or another attempt finds the reason.
            Err(cause) if needs_fallback(&cause) => {}
            inserted => return or_reason(executor, schema, batch, inserted).await,
        }
    }
    let transaction = OwnTransaction::begin(executor).await?;
    let executor = &mut *transaction.executor;
    let inserted = insert::<TopicFromGuard<true>, E>(executor, schema, batch).await;
    let inserted = or_reason(executor, schema, batch, inserted).await;
    transaction.end(inserted).await
}

/// NULL, for which the trigger sets the topic. With `IN_TRANSACTION_ONLY`, the statement fails in a
/// session that is in no transaction, because the server has ended it. Otherwise, it fails in a
/// session that does not commit by itself.
pub(super) struct TopicFromGuard<const IN_TRANSACTION_ONLY: bool>;

impl<const IN_TRANSACTION_ONLY: bool> TopicExpression<Mysql>
    for TopicFromGuard<IN_TRANSACTION_ONLY>
{
    const IS_FOR_ALL_ROWS: bool = true;

    fn push<'b>(
        _: &'b TableSchema,
        topic: &'b str,
        rows: usize,
        out: &mut AstPass<'_, 'b, Mysql>,
    ) -> QueryResult<()> {
        // A comparison that the server knows before it runs would not set the variable.
        out.push_sql("if(@@sql_mode LIKE '%STRICT%' AND (@persisting_message_bus_rows := -");
        out.push_sql(&rows.to_string());
        out.push_sql(") < 0");
        out.push_sql(" AND ");
        out.push_sql(if IN_TRANSACTION_ONLY {
            IN_TRANSACTION
        } else {
            "@@autocommit"
        });
        out.push_sql(", nullif(@persisting_message_bus_topic := ");
        out.push_bind_param::<Text, str>(topic)?;
        out.push_sql(", @persisting_message_bus_topic), ");
        out.push_sql(FAILS_WHEN_EVALUATED);
        out.push_sql(")");
        Ok(())
    }

    fn push_other<'b>(_: &'b str, out: &mut AstPass<'_, 'b, Mysql>) -> QueryResult<()> {
        out.push_sql("NULL");
        Ok(())
    }
}

/// Returns the result, or the error with the reason why the statement could not run.
async fn or_reason<E>(
    executor: &mut E,
    schema: &TableSchema,
    batch: Batch<'_>,
    inserted: QueryResult<usize>,
) -> Result<usize, Error>
where
    E: Executor<Backend = Mysql>,
{
    let cause = match inserted {
        Ok(inserted) => return Ok(inserted),
        Err(cause) => cause,
    };
    let problem = if is_null_topic(&cause, schema) {
        Some(missing_on(&schema.messages))
    } else if needs_fallback(&cause) {
        // If the session cannot be asked, the first error is the cause.
        let problem = problem_of_session(executor, schema).await;
        problem.unwrap_or_default()
    } else {
        None
    };
    let messages = batch.messages;
    Err(match problem {
        Some(problem) => Error::permanent(persisting(messages), problem),
        None => not_persisted(executor, &schema.messages, cause, messages).await,
    })
}

/// Returns `true` if the server did not accept a NULL as the topic. In every language, its message
/// has the name of the column.
fn is_null_topic(cause: &DieselError, schema: &TableSchema) -> bool {
    let DieselError::DatabaseError(DatabaseErrorKind::NotNullViolation, information) = cause else {
        return false;
    };
    information.message().contains(&*schema.messages.topic)
}

async fn problem_of_session<E>(
    executor: &mut E,
    schema: &TableSchema,
) -> QueryResult<Option<String>>
where
    E: Executor<Backend = Mysql>,
{
    let can_be_ended = is_in_transaction(executor);
    let statement = Statement::new(format!("SELECT {SESSION}"), &schema.messages, []);
    let problem = match session_of(executor, statement).await? {
        Some(Session::OutsideOfTransaction) if can_be_ended => Some(ENDED),
        Some(Session::CutsTexts) => Some(NOT_STRICT),
        _ => None,
    };
    Ok(problem.map(str::to_owned))
}
