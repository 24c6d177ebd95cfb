//! Errors of handlers and hooks.

use crate::classify::chain::class_of;
use crate::error::Error;
use crate::error::class::Class;
use crate::error::kind::BoxError;
use crate::error::kind::{Kind, Location};
use crate::message::topic::EventSet;
use crate::message::typed::Message;
use crate::panics::catch_panic;
use crate::store::transactions::TransactionState;

/// The error of a handler: any error, through `?`.
pub type HandlerError = BoxError;

impl Error {
    /// Returns the error of a handler: a failure of the message, or an interruption that the next
    /// attempt can pass.
    pub(crate) fn of_handler<S: EventSet>(message: &Message<S>, cause: BoxError) -> Self {
        match passing_class(&cause) {
            Some(class) => Self::interrupted(message, class, cause),
            None => Self::handler(message, cause),
        }
    }

    /// Returns the error of a before-replay hook.
    pub(crate) fn of_hook(topic: &str, cause: BoxError) -> Self {
        match passing_class(&cause) {
            Some(class) => Kind::HookInterrupted {
                topic: topic.to_owned(),
                class,
                cause,
            }
            .into(),
            None => Self::before_replay(topic, cause),
        }
    }

    pub(crate) fn handler<S: EventSet>(message: &Message<S>, cause: BoxError) -> Self {
        Kind::Handler(Location::of(message), cause).into()
    }

    pub(crate) fn left_transaction<S: EventSet>(
        message: &Message<S>,
        state: TransactionState,
        cause: Option<BoxError>,
    ) -> Self {
        let at = Location::of(message);
        let left = state.advice();
        Kind::LeftTransaction { at, left, cause }.into()
    }

    pub(crate) fn died<S: EventSet>(message: &Message<S>) -> Self {
        Kind::Died(Location::of(message)).into()
    }

    pub(crate) fn interrupted<S: EventSet>(
        message: &Message<S>,
        class: Class,
        cause: BoxError,
    ) -> Self {
        let at = Location::of(message);
        Kind::Interrupted { at, class, cause }.into()
    }
}

/// Returns the class of the database error in a cause, if the next call of the application's code
/// can succeed.
fn passing_class(cause: &BoxError) -> Option<Class> {
    class_of(&**cause).filter(|class| class.may_pass())
}

/// The number of characters of an error that are stored.
const MAX_STORED_CHARACTERS: usize = 16_000;

/// Returns the text of an error in a form that every database can store.
pub(super) fn storable_text(error: &Error) -> String {
    let text = catch_panic(|| Ok(error.failure()));
    let text = text.unwrap_or_else(|panicked| format!("formatting the error failed: {panicked}"));
    text.chars()
        .map(|character| {
            if character == '\0' {
                '\u{fffd}'
            } else {
                character
            }
        })
        .take(MAX_STORED_CHARACTERS)
        .collect()
}
