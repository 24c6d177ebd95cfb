//! Turns panics of the application's code into errors.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::kind::BoxError;

/// Calls a closure of the application, and turns its panic into an error.
pub(crate) fn catch_panic<T>(run: impl FnOnce() -> Result<T, BoxError>) -> Result<T, BoxError> {
    catch(run).unwrap_or_else(|text| Err(format!("it panicked: {text}").into()))
}

/// Calls a closure of the application. Returns the panic message if it panics.
pub(crate) fn catch<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    // State that the closure left half-done belongs to the application, which is called again.
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| panic_message(&*panic))
}

/// Returns the panic message, if it is a string.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("the panic has no text").to_owned()
}
