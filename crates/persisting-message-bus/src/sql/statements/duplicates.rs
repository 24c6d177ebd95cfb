//! Finds the messages that were dispatched before.

#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
use diesel::result::QueryResult;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

#[cfg(any(
    feature = "sqlite",
    feature = "postgres_backend",
    feature = "mysql_backend"
))]
use crate::message::raw::RawMessage;
#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
use crate::sql::dialect::Statement;
#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
use crate::sql::dialect::Value::Text;
#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
use crate::sql::executor::Executor;
#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
use crate::sql::schema::MessageTable;

/// Returns `true` if the table has a message with this id, as far as a read with this lock sees.
#[cfg(any(feature = "sqlite", feature = "mysql_backend"))]
pub(in crate::sql) async fn is_stored<E: Executor>(
    executor: &mut E,
    table: &MessageTable,
    message: &RawMessage,
    lock: &str,
) -> QueryResult<bool> {
    let id = message.message_id.to_string();
    let sql = format!("SELECT 1 FROM {{table}} WHERE {{message_id}} = ? {lock}");
    let statement = Statement::new(sql, table, [Text(&id)]);
    let stored = executor.first_row(statement, |[]| Ok(())).await?;
    Ok(stored.is_some())
}

pub(in crate::sql) fn is_unique_violation(cause: &DieselError) -> bool {
    matches!(
        cause,
        DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)
    )
}

/// Returns the message whose id the database names in its error. The ids are not queried: a query
/// would lock the places where they are missing, or would not see rows that were committed since
/// the transaction began.
#[cfg(any(feature = "postgres_backend", feature = "mysql_backend"))]
pub(in crate::sql) fn named_duplicate<'a>(
    cause: &DieselError,
    messages: &'a [RawMessage],
) -> Option<&'a RawMessage> {
    messages
        .iter()
        .find(|message| names_duplicate(cause, message))
}

/// Returns `true` if the error names the id of this message, and not the value of another unique
/// index.
#[cfg(any(feature = "postgres_backend", feature = "mysql_backend"))]
pub(in crate::sql) fn names_duplicate(cause: &DieselError, message: &RawMessage) -> bool {
    let DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, information) = cause else {
        return false;
    };
    let id = message.message_id.to_string();
    let mut texts = [Some(information.message()), information.details()]
        .into_iter()
        .flatten();
    texts.any(|text| text.contains(&id))
}
