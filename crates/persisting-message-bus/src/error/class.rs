//! What is to be expected of a database that has failed.

use std::error::Error as StdError;
use std::io;
use std::iter::successors;
use std::sync::Arc;

use super::Error;

/// What the same transaction meets when it is made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It may go through: another one was in the way, or something was short for now.
    Transient,
    /// It may go through on another connection; this one is of no use.
    Disconnected,
    /// The statement is not to blame: an earlier one of its transaction has failed.
    Aborted,
    /// The same again: what it stores is too large.
    TooLarge,
    /// The same again, because of how the statement is written.
    Refused,
    /// The same again.
    Lasting,
}

impl Class {
    /// What the error of such a database ends with.
    pub(super) fn hint(self) -> &'static str {
        match self {
            Self::Lasting | Self::Refused => "",
            Self::Transient => "; it may succeed when it is tried again",
            Self::Disconnected => "; it may succeed on another connection",
            Self::Aborted => {
                "; an earlier statement of the transaction has failed, and its error says why: roll \
                 the transaction back"
            }
            Self::TooLarge => {
                "; it is larger than what can be stored (on MySQL and MariaDB, max_allowed_packet \
                 says how large a statement may be)"
            }
        }
    }

    /// Whether it is nobody's fault: what a handler meets then is no attempt of its message.
    pub(crate) fn may_pass(self) -> bool {
        matches!(self, Self::Transient | Self::Disconnected)
    }
}

/// What is to be expected when a database is the cause of an error, wherever in its chain; `None` where it is
/// not.
pub(crate) fn class_of(error: &(dyn StdError + 'static)) -> Option<Class> {
    successors(Some(error), |error| cause_of(*error)).find_map(class_of_one)
}

/// What is below an error. One of input and output passes over the error that it is made of.
fn cause_of<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let inner = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    match inner {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

fn class_of_one(error: &(dyn StdError + 'static)) -> Option<Class> {
    match unwrapped::<Error>(error) {
        Some(own) => own.class(),
        None => class_of_diesel(error),
    }
}

/// An error of a type, plain, boxed or shared.
pub(crate) fn unwrapped<'a, E: StdError + 'static>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a E> {
    let boxed = || error.downcast_ref::<Box<E>>().map(|boxed| &**boxed);
    let shared = || error.downcast_ref::<Arc<E>>().map(|shared| &**shared);
    error.downcast_ref::<E>().or_else(boxed).or_else(shared)
}

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
use crate::diesel::class_of_one as class_of_diesel;

/// Without a database there is none that fails.
#[cfg(not(any(feature = "sqlite", feature = "postgres", feature = "mysql")))]
fn class_of_diesel(_: &(dyn StdError + 'static)) -> Option<Class> {
    None
}
