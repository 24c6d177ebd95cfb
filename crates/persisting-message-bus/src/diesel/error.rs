use diesel::result::Error as DieselError;

use super::class::class_of_cause;
use crate::Error;

impl From<DieselError> for Error {
    fn from(cause: DieselError) -> Self {
        failed_while("running a statement", cause)
    }
}

/// The error of a statement, for `map_err`.
pub(super) fn failed_while(doing: impl Into<String>, cause: DieselError) -> Error {
    let class = class_of_cause(&cause);
    Error::of_repository(doing, cause, class)
}
