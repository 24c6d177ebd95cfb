//! Which message of a batch was dispatched before.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

#[cfg(any(feature = "postgres", feature = "mysql"))]
use crate::RawMessage;

pub(super) fn is_unique_violation(cause: &DieselError) -> bool {
    matches!(
        cause,
        DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)
    )
}

/// The message whose id the database names in its error. It is not looked for: that would take locks
/// where it is not, or would not see what was committed since the transaction began.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(super) fn named_duplicate<'a>(
    cause: &DieselError,
    messages: &'a [RawMessage],
) -> Option<&'a RawMessage> {
    messages
        .iter()
        .find(|message| names_duplicate(cause, message))
}

/// Whether the database names the id of this message, and not what another unique index has.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(super) fn names_duplicate(cause: &DieselError, message: &RawMessage) -> bool {
    let DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, information) = cause else {
        return false;
    };
    let id = message.message_id.to_string();
    let mut texts = [Some(information.message()), information.details()]
        .into_iter()
        .flatten();
    texts.any(|text| text.contains(&id))
}
