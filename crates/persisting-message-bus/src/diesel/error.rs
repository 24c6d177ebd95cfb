use diesel::result::{DatabaseErrorKind, Error as DieselError};

use crate::Error;
use crate::error::Fault;

impl From<DieselError> for Error {
    fn from(cause: DieselError) -> Self {
        failed_while("running a statement", cause)
    }
}

/// The error of a statement, for `map_err`.
pub(super) fn failed_while(doing: impl Into<String>, cause: DieselError) -> Error {
    if is_disconnected(&cause) {
        return Error::disconnected(doing, cause);
    }
    let retryable = is_retryable(&cause);
    Error::repository(doing, cause, retryable)
}

/// What is to be expected when it is tried again.
pub(crate) fn fault_of(cause: &DieselError) -> Fault {
    if is_disconnected(cause) {
        Fault::Disconnected
    } else if is_retryable(cause) {
        Fault::Passing
    } else {
        Fault::Lasting
    }
}

/// Whether the connection is of no use any more.
pub(super) fn is_disconnected(cause: &DieselError) -> bool {
    use DatabaseErrorKind::{ClosedConnection, UnableToSendCommand};
    match cause {
        DieselError::DatabaseError(ClosedConnection | UnableToSendCommand, _)
        | DieselError::BrokenTransactionManager => true,
        // MySQL's and MariaDB's have no kind of their own in Diesel.
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, information) => {
            let message = information.message();
            [
                "Lost connection to",
                "gone away",
                "Connection was killed",
                "disconnected by the server",
                "shutdown in progress",
                // PostgreSQL's, before the connection is closed, and of a COPY behind that
                "terminating connection",
                "server closed the connection",
            ]
            .iter()
            .any(|part| message.contains(part))
        }
        _ => false,
    }
}

/// Whether the same transaction may go through when it is made again.
pub(super) fn is_retryable(cause: &DieselError) -> bool {
    match cause {
        DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => true,
        // SQLite's SQLITE_BUSY and SQLITE_LOCKED have no kind of their own in Diesel.
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, information) => {
            let message = information.message();
            [
                "database is locked",
                "table is locked",
                // PostgreSQL's
                "deadlock detected",
                "due to lock timeout",
                "due to statement timeout",
                // MySQL's and MariaDB's; a deadlock has a kind
                "Lock wait timeout exceeded",
                "Record has changed since last read",
                "max_statement_time exceeded",
                "maximum statement execution time exceeded",
            ]
            .iter()
            .any(|part| message.contains(part))
        }
        _ => false,
    }
}
