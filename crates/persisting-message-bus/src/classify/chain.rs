//! Finds the class of an error in its chain of causes, wherever a database error is in it.

use std::error::Error as StdError;
use std::io;
use std::iter::successors;
use std::sync::Arc;

#[cfg(any(
    feature = "sqlite",
    feature = "postgres_backend",
    feature = "mysql_backend"
))]
use diesel::result::{ConnectionError, Error as DieselError};

#[cfg(any(
    feature = "sqlite",
    feature = "postgres_backend",
    feature = "mysql_backend"
))]
use crate::classify::database::{of_database, of_rollback};
#[cfg(any(
    feature = "sqlite",
    feature = "postgres_backend",
    feature = "mysql_backend"
))]
use crate::classify::texts::class_of_text;
use crate::error::Error;
use crate::error::class::Class;
#[cfg(any(
    feature = "sqlite",
    feature = "postgres_backend",
    feature = "mysql_backend"
))]
use crate::panics::catch;

/// Returns the class of the first database error in the chain of an error; `None` if there is none.
pub(crate) fn class_of(error: &(dyn StdError + 'static)) -> Option<Class> {
    successors(Some(error), |error| cause_of(*error)).find_map(class_of_one)
}

/// Returns the cause of an error. `io::Error::source` skips the wrapped error, so that one is read
/// directly.
fn cause_of<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let inner = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    match inner {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// Returns the class of one error of a chain, if it is a database error.
fn class_of_one(error: &(dyn StdError + 'static)) -> Option<Class> {
    match unwrapped::<Error>(error) {
        Some(own) => own.class(),
        None => class_of_diesel(error),
    }
}

/// Returns the error as a value of type `E`, whether it is plain, boxed or shared.
fn unwrapped<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let boxed = || error.downcast_ref::<Box<E>>().map(|boxed| &**boxed);
    let shared = || error.downcast_ref::<Arc<E>>().map(|shared| &**shared);
    error.downcast_ref::<E>().or_else(boxed).or_else(shared)
}

/// Returns the class of an error of Diesel.
#[cfg(any(
    feature = "sqlite",
    feature = "postgres_backend",
    feature = "mysql_backend"
))]
pub(crate) fn class_of_cause(cause: &DieselError) -> Class {
    match cause {
        DieselError::DatabaseError(kind, information) => of_database(*kind, &**information),
        DieselError::BrokenTransactionManager => Class::Disconnected,
        DieselError::RollbackErrorOnCommit {
            rollback_error,
            commit_error,
        } => of_rollback(class_of_cause(commit_error), class_of_cause(rollback_error)),
        // Code that reads or writes values may have met an error of the connection.
        DieselError::QueryBuilderError(cause)
        | DieselError::DeserializationError(cause)
        | DieselError::SerializationError(cause) => class_of(&**cause).unwrap_or(Class::Permanent),
        _ => Class::Permanent,
    }
}

/// Returns the class of one error of a chain, if it is a database error.
///
/// Some wrappers hide the type of the wrapped error and print its text (`#[error(transparent)]`,
/// `anyhow`). The text is then that of the database, so it is classified.
#[cfg(any(
    feature = "sqlite",
    feature = "postgres_backend",
    feature = "mysql_backend"
))]
fn class_of_diesel(error: &(dyn StdError + 'static)) -> Option<Class> {
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
    let text = catch(|| error.to_string()).ok()?;
    class_of_text(&text).filter(|class| !matches!(class, Class::Refused | Class::Undefined))
}

#[cfg(any(
    feature = "sqlite",
    feature = "postgres_backend",
    feature = "mysql_backend"
))]
fn of_connecting(cause: &ConnectionError) -> Class {
    match cause {
        ConnectionError::BadConnection(_) => Class::Disconnected,
        ConnectionError::CouldntSetupConfiguration(cause) => class_of_cause(cause),
        _ => Class::Permanent,
    }
}

#[cfg(all(
    feature = "r2d2",
    any(
        feature = "sqlite",
        feature = "postgres_backend",
        feature = "mysql_backend"
    )
))]
fn of_pool(error: &(dyn StdError + 'static)) -> Option<Class> {
    use diesel::r2d2::{Error as ManagerError, PoolError};

    // All connections are in use, or the pool cannot open one.
    if error.is::<PoolError>() {
        return Some(Class::Transient);
    }
    Some(match unwrapped::<ManagerError>(error)? {
        ManagerError::ConnectionError(cause) => of_connecting(cause),
        ManagerError::QueryError(cause) => class_of_cause(cause),
    })
}

/// Returns `None`: without a database feature, no database can fail.
#[cfg(not(any(
    feature = "sqlite",
    feature = "postgres_backend",
    feature = "mysql_backend"
)))]
fn class_of_diesel(_: &(dyn StdError + 'static)) -> Option<Class> {
    None
}

#[cfg(all(
    test,
    any(
        feature = "sqlite",
        feature = "postgres_backend",
        feature = "mysql_backend"
    )
))]
mod tests {
    use DatabaseErrorKind as Kind;

    use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind};

    use super::*;

    /// The message of a server, and its detail.
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
        // The text is in an unknown language.
        for (kind, class) in [
            (Kind::SerializationFailure, Class::Transient),
            (Kind::ClosedConnection, Class::Disconnected),
            (Kind::ReadOnlyTransaction, Class::Disconnected),
            (Kind::UnableToSendCommand, Class::Disconnected),
            (Kind::UniqueViolation, Class::Permanent),
            (Kind::ForeignKeyViolation, Class::Permanent),
            (Kind::NotNullViolation, Class::Permanent),
            (Kind::CheckViolation, Class::Permanent),
            (Kind::RestrictViolation, Class::Permanent),
            (Kind::ExclusionViolation, Class::Permanent),
            (Kind::Unknown, Class::Permanent),
        ] {
            let cause = error(kind, "xyzzy");
            assert_eq!(class_of_cause(&cause), class, "{kind:?}");
        }
        #[cfg(feature = "sqlite")]
        for kind in [Kind::UniqueViolation, Kind::CheckViolation] {
            let cause = error(kind, "database is locked");
            assert_eq!(class_of_cause(&cause), Class::Permanent, "{kind:?}");
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
            (DieselError::NotFound, Class::Permanent),
            (DieselError::NotInTransaction, Class::Permanent),
            (DieselError::AlreadyInTransaction, Class::Permanent),
            (DieselError::RollbackTransaction, Class::Permanent),
            (
                DieselError::QueryBuilderError("no".into()),
                Class::Permanent,
            ),
            (
                DieselError::SerializationError(hindered()),
                Class::Transient,
            ),
            (rolled_back(lost(), lost()), Class::Disconnected),
            (rolled_back(refused(), lost()), Class::Disconnected),
            (rolled_back(hindered(), refused()), Class::Disconnected),
            (rolled_back(refused(), refused()), Class::Permanent),
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
                Class::Permanent,
            ),
            (
                ConnectionError::CouldntSetupConfiguration(error(Kind::SerializationFailure, "")),
                Class::Transient,
            ),
        ] {
            assert_eq!(class_of(&cause), Some(class), "{cause:?}");
        }
    }

    #[cfg(feature = "postgres_backend")]
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

    #[cfg(feature = "postgres_backend")]
    #[test]
    fn a_statement_with_too_many_values_is_no_lost_connection() {
        let text = "number of parameters must be between 0 and 65535\n";
        let cause = error(Kind::UnableToSendCommand, text);
        assert_eq!(class_of_cause(&cause), Class::Refused);
    }
}
