//! The result of a handler, with the compile error for everything else.
//!
//! A bound on a trait instead of `-> Result<(), HandlerError>` lets that error name the fix. The
//! compiler still infers the type of `Ok(())` in a closure, because only one `Result` implements
//! the trait.

use crate::consume::errors::HandlerError;

/// The result of a handler or a hook: `Result<(), HandlerError>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the result of a handler",
    label = "a handler must return `Result<(), HandlerError>`",
    note = "end the handler with `Ok(())`, and let `?` convert other errors to `persisting_message_bus::handler::HandlerError`, which is `Box<dyn std::error::Error + Send + Sync>`",
    note = "for an async handler, use `persisting_message_bus::asynchronous::MessageConsumer`, with a feature such as `diesel-async-0_9-postgres`"
)]
pub trait HandlerResult {
    /// Returns the result.
    #[doc(hidden)]
    fn into_result(self) -> Result<(), HandlerError>;
}

impl HandlerResult for Result<(), HandlerError> {
    fn into_result(self) -> Result<(), HandlerError> {
        self
    }
}

/// For closures that always panic.
#[diagnostic::do_not_recommend]
impl HandlerResult for <fn() -> ! as Returns>::Output {
    fn into_result(self) -> Result<(), HandlerError> {
        self
    }
}

/// Names the type `!`, for which the language has no stable name.
#[doc(hidden)]
pub trait Returns {
    /// The type that a function returns.
    type Output;
}

impl<R> Returns for fn() -> R {
    type Output = R;
}
