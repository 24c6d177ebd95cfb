use std::error::Error as StdError;

use super::Error;
use super::kind::Fault;

/// What is to be expected when what has failed with this is tried again.
pub(crate) fn fault_of(error: &(dyn StdError + Send + Sync + 'static)) -> Fault {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<Error>() {
            return error.fault().unwrap_or(Fault::Lasting);
        }
        #[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
        if let Some(error) = error.downcast_ref::<diesel::result::Error>() {
            return crate::diesel::fault_of(error);
        }
        cause = error.source();
    }
    Fault::Lasting
}
