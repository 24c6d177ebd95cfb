//! Errors of publishing on PostgreSQL.

use diesel::result::Error as DieselError;

use crate::error::Error;
use crate::message::raw::RawMessage;
use crate::sql::postgres::fitness::no_unique_index;
use crate::sql::postgres::sequence::set_sequence;
use crate::sql::publish_errors::{self, persisting};
use crate::sql::schema::MessageTable;
use crate::sql::statements::duplicates::is_unique_violation;

/// Returns the error of messages that were not persisted. A position that is taken means that the
/// sequence is below the rows of the table.
pub(super) fn not_persisted(
    table: &MessageTable,
    cause: DieselError,
    messages: &[RawMessage],
) -> Error {
    if is_unique_violation(&cause) && names_position(table, &cause) {
        let problem = format!(
            "the next position is taken, so the sequence of the positions is below the table's rows; \
             {}",
            set_sequence(table)
        );
        return Error::permanent(persisting(messages), problem);
    }
    // The server writes these words in every language. It means that the table lacks the index that
    // the clause names, or that the table has rules.
    if let DieselError::DatabaseError(_, information) = &cause
        && information.message().contains("ON CONFLICT")
    {
        let problem = format!(
            "{}, or it has rules for INSERT, which are not supported ({})",
            no_unique_index(table),
            information.message()
        );
        return Error::permanent(persisting(messages), problem);
    }
    publish_errors::not_persisted(cause, messages)
}

/// Returns whether the error names a value of the column of the positions. The server writes
/// `(id)=(7)` in every language.
fn names_position(table: &MessageTable, cause: &DieselError) -> bool {
    let DieselError::DatabaseError(_, information) = cause else {
        return false;
    };
    let names = |id: &str| {
        let details = information.details();
        details.is_some_and(|details| details.contains(&format!("({id})=(")))
    };
    names(&table.id) || names(&format!("\"{}\"", &*table.id))
}
