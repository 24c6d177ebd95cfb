//! Classifies an error that a database has reported. Diesel exposes neither SQLSTATE nor error
//! number, so the class comes from the kind if Diesel knows one, and otherwise from the text.

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind};

use crate::classify::texts::class_of_text;
use crate::error::class::Class;

pub(super) fn of_database(
    kind: DatabaseErrorKind,
    information: &(dyn DatabaseErrorInformation + Send + Sync),
) -> Class {
    use DatabaseErrorKind as Kind;

    let of_text = || class_of_text(information.message());
    match kind {
        Kind::SerializationFailure => Class::Transient,
        // A server that became a standby reports this, for example. Another connection may lead to
        // its successor.
        Kind::ClosedConnection | Kind::ReadOnlyTransaction => Class::Disconnected,
        // The statement may have too many values, which the text says. Otherwise the connection is
        // gone.
        Kind::UnableToSendCommand => of_text().unwrap_or(Class::Disconnected),
        Kind::UniqueViolation
        | Kind::ForeignKeyViolation
        | Kind::NotNullViolation
        | Kind::CheckViolation
        | Kind::RestrictViolation
        | Kind::ExclusionViolation => Class::Permanent,
        // PostgreSQL also reports "out of memory" for a row larger than 1 GB.
        _ if is_too_large(information.details()) => Class::TooLarge,
        _ => of_text().unwrap_or(Class::Permanent),
    }
}

fn is_too_large(details: Option<&str>) -> bool {
    details.and_then(class_of_text) == Some(Class::TooLarge)
}

/// Returns the class after a failed commit. If the rollback fails too, Diesel stops using the
/// connection.
pub(super) fn of_rollback(commit: Class, rollback: Class) -> Class {
    if commit.may_pass() || rollback.is_lost() {
        Class::Disconnected
    } else {
        commit
    }
}
