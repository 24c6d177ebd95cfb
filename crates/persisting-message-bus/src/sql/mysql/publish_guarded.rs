//! Publishing on a table with the guard of foreign inserts: the trigger of `guard.rs` takes the slot.
//!
//! A statement must not insert without the trigger. So its topics are NULL, which the column does not
//! take, and the trigger sets them. The expression for the first topic stores the topic, and the
//! number of rows, in variables of the session. The trigger takes one slot for all rows.

use diesel::connection::LoadConnection;
use diesel::mysql::Mysql;
use diesel::query_builder::AstPass;
use diesel::result::{DatabaseErrorKind, Error as DieselError, QueryResult};
use diesel::sql_types::Text;

use crate::error::Error;
use crate::message::raw::RawMessage;
use crate::sql::dialect::Statement;
use crate::sql::guard::missing_on;
use crate::sql::mysql::free_slots::{IN_TRANSACTION, SESSION, Session, session_of};
use crate::sql::mysql::publish_at_once::can_be_written_at_once;
use crate::sql::mysql::publish_autocommit::{FAILS_WHEN_EVALUATED, needs_fallback};
use crate::sql::mysql::publish_errors::not_persisted;
use crate::sql::mysql::publish_many::{Batch, insert, insert_all_or_none};
use crate::sql::mysql::slots::{ENDED, NOT_STRICT};
use crate::sql::publish_errors::persisting;
use crate::sql::row_writer::TopicExpression;
use crate::sql::schema::TableSchema;
use crate::sql::transactions::{in_own_transaction, is_in_transaction};

/// Persists messages on a table with the guard.
pub(super) fn persist<C>(
    connection: &mut C,
    schema: &TableSchema,
    batch: Batch<'_>,
) -> Result<usize, Error>
where
    C: LoadConnection<Backend = Mysql>,
    Mysql: crate::sql::backend::StoreBackend<C>,
{
    if is_in_transaction(connection) {
        let inserted = insert_all_or_none::<TopicFromGuard<true>, C>(connection, schema, batch);
        return inserted.map_err(|cause| failed(connection, schema, batch.messages, cause));
    }
    if can_be_written_at_once(batch) {
        match insert::<TopicFromGuard<false>, C>(connection, schema, batch) {
            // The session does not commit by itself, or another attempt finds the reason.
            Err(cause) if needs_fallback(&cause) => {}
            inserted => {
                return inserted.map_err(|cause| failed(connection, schema, batch.messages, cause));
            }
        }
    }
    in_own_transaction(connection, |connection| {
        let inserted = insert::<TopicFromGuard<true>, C>(connection, schema, batch);
        inserted.map_err(|cause| failed(connection, schema, batch.messages, cause))
    })
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

/// Returns the error, with the reason why the statement could not run.
fn failed<C>(
    connection: &mut C,
    schema: &TableSchema,
    messages: &[RawMessage],
    cause: DieselError,
) -> Error
where
    C: LoadConnection<Backend = Mysql>,
{
    let problem = if is_null_topic(&cause, schema) {
        Some(missing_on(&schema.messages))
    } else if needs_fallback(&cause) {
        // If the session cannot be asked, the first error is the cause.
        problem_of_session(connection, schema).unwrap_or_default()
    } else {
        None
    };
    match problem {
        Some(problem) => Error::permanent(persisting(messages), problem),
        None => not_persisted(connection, &schema.messages, cause, messages),
    }
}

/// Returns `true` if the server did not accept a NULL as the topic. In every language, its message
/// has the name of the column.
fn is_null_topic(cause: &DieselError, schema: &TableSchema) -> bool {
    let DieselError::DatabaseError(DatabaseErrorKind::NotNullViolation, information) = cause else {
        return false;
    };
    information.message().contains(&*schema.messages.topic)
}

fn problem_of_session<C>(connection: &mut C, schema: &TableSchema) -> QueryResult<Option<String>>
where
    C: LoadConnection<Backend = Mysql>,
{
    let can_be_ended = is_in_transaction(connection);
    let statement = Statement::new(format!("SELECT {SESSION}"), &schema.messages, []);
    let problem = match session_of(connection, statement)? {
        Some(Session::OutsideOfTransaction) if can_be_ended => Some(ENDED),
        Some(Session::CutsTexts) => Some(NOT_STRICT),
        _ => None,
    };
    Ok(problem.map(str::to_owned))
}
