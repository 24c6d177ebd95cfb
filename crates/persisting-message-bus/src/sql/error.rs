use diesel::result::Error as DieselError;

use crate::classify::chain::class_of_cause;
use crate::error::Error;

impl From<DieselError> for Error {
    fn from(cause: DieselError) -> Self {
        failed_while("running a statement", cause)
    }
}

/// Returns the error of a statement that failed while `doing` something, for `map_err`.
pub(super) fn failed_while(doing: impl Into<String>, cause: DieselError) -> Error {
    let class = class_of_cause(&cause);
    Error::of_repository(doing, cause, class)
}
