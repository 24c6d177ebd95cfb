//! What is to be expected of a database, by Diesel's errors: by their kinds where there is one, and by what the
//! database says where not, since Diesel has neither SQLSTATE nor error number.

use std::error::Error as StdError;

use diesel::result::Error as DieselError;
use diesel::result::{ConnectionError, DatabaseErrorInformation, DatabaseErrorKind};

use super::texts::class_of_text;
use crate::consumer::guarded;
use crate::error::class::{Class, class_of, unwrapped};

/// What is to be expected after an error of Diesel.
pub(super) fn class_of_cause(cause: &DieselError) -> Class {
    match cause {
        DieselError::DatabaseError(kind, information) => of_database(*kind, &**information),
        DieselError::BrokenTransactionManager => Class::Disconnected,
        DieselError::RollbackErrorOnCommit {
            rollback_error,
            commit_error,
        } => of_rollback(class_of_cause(commit_error), class_of_cause(rollback_error)),
        // What reads or writes values may have met the connection's error.
        DieselError::QueryBuilderError(cause)
        | DieselError::DeserializationError(cause)
        | DieselError::SerializationError(cause) => class_of(&**cause).unwrap_or(Class::Lasting),
        _ => Class::Lasting,
    }
}

fn of_database(
    kind: DatabaseErrorKind,
    information: &(dyn DatabaseErrorInformation + Send + Sync),
) -> Class {
    use DatabaseErrorKind as Kind;

    let of_text = || class_of_text(information.message());
    match kind {
        Kind::SerializationFailure => Class::Transient,
        // Of a server that became a standby, for one: another connection may lead to its successor.
        Kind::ClosedConnection | Kind::ReadOnlyTransaction => Class::Disconnected,
        // A statement may have too many values; what else cannot be sent has nobody who takes it.
        Kind::UnableToSendCommand => of_text().unwrap_or(Class::Disconnected),
        Kind::UniqueViolation
        | Kind::ForeignKeyViolation
        | Kind::NotNullViolation
        | Kind::CheckViolation
        | Kind::RestrictViolation
        | Kind::ExclusionViolation => Class::Lasting,
        // PostgreSQL says "out of memory" of a row above a gigabyte, too.
        _ if is_too_large(information.details()) => Class::TooLarge,
        _ => of_text().unwrap_or(Class::Lasting),
    }
}

fn is_too_large(details: Option<&str>) -> bool {
    details.and_then(class_of_text) == Some(Class::TooLarge)
}

/// After a commit that failed and could not be rolled back, Diesel uses the connection no more.
fn of_rollback(commit: Class, rollback: Class) -> Class {
    if commit.may_pass() || rollback == Class::Disconnected {
        Class::Disconnected
    } else {
        commit
    }
}

/// What is to be expected after one error of a chain, if it is a database's.
///
/// Some wrappers stand for what they wrap, so that its type does not show (`#[error(transparent)]`, `anyhow`):
/// what they say is then what the database said.
pub(crate) fn class_of_one(error: &(dyn StdError + 'static)) -> Option<Class> {
    if let Some(cause) = unwrapped::<DieselError>(error) {
        return Some(class_of_cause(cause));
    }
    if let Some(cause) = unwrapped::<ConnectionError>(error) {
        return Some(of_connecting(cause));
    }
    #[cfg(feature = "r2d2")]
    if let Some(class) = of_pool(error) {
        return Some(class);
    }
    let text = guarded(|| Ok(error.to_string())).ok()?;
    class_of_text(&text).filter(|class| *class != Class::Refused)
}

fn of_connecting(cause: &ConnectionError) -> Class {
    match cause {
        ConnectionError::BadConnection(_) => Class::Disconnected,
        ConnectionError::CouldntSetupConfiguration(cause) => class_of_cause(cause),
        _ => Class::Lasting,
    }
}

#[cfg(feature = "r2d2")]
fn of_pool(error: &(dyn StdError + 'static)) -> Option<Class> {
    use diesel::r2d2::{Error as ManagerError, PoolError};

    // All of them are in use, or none can be made.
    if error.is::<PoolError>() {
        return Some(Class::Transient);
    }
    Some(match unwrapped::<ManagerError>(error)? {
        ManagerError::ConnectionError(cause) => of_connecting(cause),
        ManagerError::QueryError(cause) => class_of_cause(cause),
    })
}

#[cfg(test)]
mod tests {
    use DatabaseErrorKind as Kind;

    use super::*;

    /// What a server says, with a detail.
    struct Said(&'static str, Option<&'static str>);

    impl DatabaseErrorInformation for Said {
        fn message(&self) -> &str {
            self.0
        }
        fn details(&self) -> Option<&str> {
            self.1
        }
        fn hint(&self) -> Option<&str> {
            None
        }
        fn table_name(&self) -> Option<&str> {
            None
        }
        fn column_name(&self) -> Option<&str> {
            None
        }
        fn constraint_name(&self) -> Option<&str> {
            None
        }
        fn statement_position(&self) -> Option<i32> {
            None
        }
    }

    fn error(kind: Kind, text: &'static str) -> DieselError {
        DieselError::DatabaseError(kind, Box::new(Said(text, None)))
    }

    #[test]
    fn a_kind_says_more_than_a_text() {
        // In a language that nobody knows.
        for (kind, class) in [
            (Kind::SerializationFailure, Class::Transient),
            (Kind::ClosedConnection, Class::Disconnected),
            (Kind::ReadOnlyTransaction, Class::Disconnected),
            (Kind::UnableToSendCommand, Class::Disconnected),
            (Kind::UniqueViolation, Class::Lasting),
            (Kind::ForeignKeyViolation, Class::Lasting),
            (Kind::NotNullViolation, Class::Lasting),
            (Kind::CheckViolation, Class::Lasting),
            (Kind::RestrictViolation, Class::Lasting),
            (Kind::ExclusionViolation, Class::Lasting),
            (Kind::Unknown, Class::Lasting),
        ] {
            let cause = error(kind, "xyzzy");
            assert_eq!(class_of_cause(&cause), class, "{kind:?}");
        }
        #[cfg(feature = "sqlite")]
        for kind in [Kind::UniqueViolation, Kind::CheckViolation] {
            let cause = error(kind, "database is locked");
            assert_eq!(class_of_cause(&cause), Class::Lasting, "{kind:?}");
        }
    }

    #[test]
    fn diesels_own_errors_are_of_the_connection_or_lasting() {
        let lost = || Box::new(error(Kind::ClosedConnection, ""));
        let refused = || Box::new(error(Kind::ForeignKeyViolation, ""));
        let hindered = || Box::new(error(Kind::SerializationFailure, ""));
        let rolled_back = |commit_error, rollback_error| DieselError::RollbackErrorOnCommit {
            rollback_error,
            commit_error,
        };
        for (cause, class) in [
            (DieselError::BrokenTransactionManager, Class::Disconnected),
            (DieselError::NotFound, Class::Lasting),
            (DieselError::NotInTransaction, Class::Lasting),
            (DieselError::AlreadyInTransaction, Class::Lasting),
            (DieselError::RollbackTransaction, Class::Lasting),
            (DieselError::QueryBuilderError("no".into()), Class::Lasting),
            (
                DieselError::SerializationError(hindered()),
                Class::Transient,
            ),
            (rolled_back(lost(), lost()), Class::Disconnected),
            (rolled_back(refused(), lost()), Class::Disconnected),
            (rolled_back(hindered(), refused()), Class::Disconnected),
            (rolled_back(refused(), refused()), Class::Lasting),
        ] {
            assert_eq!(class_of_cause(&cause), class, "{cause:?}");
        }
    }

    #[test]
    fn what_cannot_be_connected_may_be_later() {
        for (cause, class) in [
            (
                ConnectionError::BadConnection("no".into()),
                Class::Disconnected,
            ),
            (
                ConnectionError::InvalidConnectionUrl("no".into()),
                Class::Lasting,
            ),
            (
                ConnectionError::CouldntSetupConfiguration(error(Kind::SerializationFailure, "")),
                Class::Transient,
            ),
        ] {
            assert_eq!(class_of(&cause), Some(class), "{cause:?}");
        }
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn of_memory_a_detail_says_whether_more_would_help() {
        for (detail, class) in [
            (
                Some("Failed on request of size 32 in memory context \"ExecutorState\"."),
                Class::Transient,
            ),
            (
                Some("Cannot enlarge string buffer containing 1073741811 bytes by 20 more bytes."),
                Class::TooLarge,
            ),
            (
                Some("Kann Zeichenkettenpuffer mit 1073741811 Bytes nicht um 20 Bytes vergrößern."),
                Class::TooLarge,
            ),
        ] {
            let said = Box::new(Said("out of memory", detail));
            let cause = DieselError::DatabaseError(Kind::Unknown, said);
            assert_eq!(class_of_cause(&cause), class, "{detail:?}");
        }
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_statement_with_too_many_values_is_no_lost_connection() {
        let text = "number of parameters must be between 0 and 65535\n";
        let cause = error(Kind::UnableToSendCommand, text);
        assert_eq!(class_of_cause(&cause), Class::Refused);
    }
}
