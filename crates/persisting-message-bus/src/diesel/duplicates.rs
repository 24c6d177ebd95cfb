//! Which message of a batch was dispatched before.

use std::collections::HashSet;

use diesel::connection::LoadConnection;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

use super::MessageTable;
use super::rows::{ReadValue, first_row};
use super::statement::Value::Text;
use super::statement::{Dialect, Statement};
use crate::RawMessage;

pub(super) fn is_unique_violation(cause: &DieselError) -> bool {
    matches!(
        cause,
        DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)
    )
}

/// The first message whose id is there already, or stands twice in the batch.
pub(super) fn first_duplicate<'a, C>(
    connection: &mut C,
    table: &MessageTable,
    messages: &'a [RawMessage],
) -> Option<&'a RawMessage>
where
    C: LoadConnection,
    C::Backend: Dialect + ReadValue,
{
    let mut seen = HashSet::new();
    messages.iter().find(|message| {
        let id = message.message_id.to_string();
        let sql = "SELECT 1 FROM {table} WHERE {message_id} = {uuid} {latest}";
        let statement = Statement::new(sql, table, [Text(&id)]);
        let stored = first_row(connection, statement, |[]| Ok(()));
        !seen.insert(message.message_id) || matches!(stored, Ok(Some(())))
    })
}
