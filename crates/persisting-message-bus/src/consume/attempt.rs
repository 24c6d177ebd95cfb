//! Reasons for which an attempt to handle messages in a transaction is rolled back.

use crate::classify::chain::class_of;
use crate::consume::errors::HandlerError;
use crate::error::Error;
use crate::error::class::Class;
use crate::message::topic::EventSet;
use crate::message::typed::Message;
use crate::panics::catch;
use crate::store::transactions::{Guarded, TransactionControl, TransactionState, UNKNOWN_CAUSE};

/// The reason for which an attempt was rolled back.
#[derive(Debug)]
pub enum Failure {
    /// The bus failed before the handler was called, or the lease is lost.
    Before(Error),
    /// A message failed: the one at this offset, if that is known. No effect of the attempt is
    /// final.
    Message(Option<usize>, MessageFault),
    /// The transaction ended early, and some effects can be final.
    Ended(Option<usize>, MessageFault),
}

/// The fault of a message.
#[derive(Debug)]
pub enum MessageFault {
    /// The message fails on every attempt, as far as the library can tell.
    Failed(HandlerError),
    /// The cause can pass, so another attempt can succeed.
    Interrupted(Class, HandlerError),
    /// The handler left the transaction. Holds the handler's own error, if it returned one.
    Left(TransactionState, Option<HandlerError>),
    /// The handler returned this error in a transaction in this state. `told` classifies it after
    /// the rollback, because reading an error's text calls code of the application.
    Returned(HandlerError, TransactionState),
}

impl Failure {
    /// Returns the failure for an error that occurred after the handler had handled so many
    /// messages, while their cursors were stored and committed.
    pub(super) fn after(messages: usize, error: Error) -> Self {
        match error.class() {
            _ if messages == 0 => Self::Before(error),
            // For example, the lease is lost.
            None => Self::Before(error),
            Some(class) => {
                let alone = (messages == 1).then_some(0);
                Self::Message(alone, MessageFault::of(Some(class), error.into()))
            }
        }
    }
}

impl Failure {
    /// Classifies the handler's error. The transaction must be rolled back before this call.
    pub(super) fn told(self) -> Self {
        match self {
            // No watch observed the statements. A returned deadlock is more likely than an earlier
            // commit.
            Self::Ended(offset, MessageFault::Returned(cause, state))
                if is_unknown(&state) && class_of(&*cause) == Some(Class::Transient) =>
            {
                Self::Message(offset, MessageFault::Interrupted(Class::Transient, cause))
            }
            Self::Message(offset, fault) => Self::Message(offset, fault.told()),
            Self::Ended(offset, fault) => Self::Ended(offset, fault.told()),
            other => other,
        }
    }
}

impl MessageFault {
    pub(super) fn told(self) -> Self {
        match self {
            Self::Returned(cause, state) => {
                let class = class_of(&*cause);
                // An earlier statement failed, and the handler ignored its error.
                let is_late = class == Some(Class::Aborted);
                if is_final(&state) || is_late || !names(&state, &cause) {
                    Self::Left(state, Some(cause))
                } else {
                    Self::of(class, cause)
                }
            }
            other => other,
        }
    }

    fn of(class: Option<Class>, cause: HandlerError) -> Self {
        match class.filter(|class| class.may_pass()) {
            Some(class) => Self::Interrupted(class, cause),
            None => Self::Failed(cause),
        }
    }

    pub(super) fn is_interruption(&self) -> bool {
        matches!(self, Self::Interrupted(..))
    }

    /// Returns whether to try the messages before it now, or a half of the range if the offset is
    /// unknown. After an interruption, this needs a good connection and a known message.
    pub(super) fn goes_on(&self, offset: Option<usize>) -> bool {
        match self {
            Self::Interrupted(class, _) if class.is_lost() => false,
            Self::Interrupted(..) => offset.is_some(),
            _ => true,
        }
    }

    /// Returns the error of the message.
    pub(super) fn error<S: EventSet>(self, message: &Message<S>) -> Error {
        match self {
            Self::Failed(cause) => Error::handler(message, cause),
            Self::Interrupted(class, cause) => Error::interrupted(message, class, cause),
            Self::Left(state, cause) => Error::left_transaction(message, state, cause),
            Self::Returned(cause, _) => Error::of_handler(message, cause),
        }
    }
}

/// Judges the result of a handler and the state in which it left the transaction.
pub(super) fn judge<B: TransactionControl + ?Sized>(
    transaction: &mut Guarded<'_, B>,
    offset: Option<usize>,
    handled: Result<(), HandlerError>,
) -> Result<(), Failure> {
    let state = match transaction.state() {
        Ok(state) => state,
        Err(error) => return Err(Failure::Message(offset, lost(error, handled.err()))),
    };
    let is_final = is_final(&state);
    let fault = match (handled, state) {
        (Ok(()), TransactionState::Open) => return Ok(()),
        (Ok(()), left) => MessageFault::Left(left, None),
        (Err(cause), state) => MessageFault::Returned(cause, state),
    };
    Err(if is_final {
        Failure::Ended(offset, fault)
    } else {
        Failure::Message(offset, fault)
    })
}

/// Judges the transaction after so many messages are handled, before their cursor is stored.
pub(super) fn judge_at_end<B: TransactionControl + ?Sized>(
    transaction: &mut Guarded<'_, B>,
    messages: usize,
) -> Result<(), Failure> {
    let alone = (messages == 1).then_some(0);
    match transaction.state_at_end() {
        Ok(TransactionState::Open) => Ok(()),
        Ok(left) if is_final(&left) => Err(Failure::Ended(alone, MessageFault::Left(left, None))),
        Ok(left) => Err(Failure::Message(alone, MessageFault::Left(left, None))),
        Err(error) => Err(Failure::Message(alone, lost(error, None))),
    }
}

/// Returns the fault for a connection that was lost in a handler or after it.
fn lost(error: Error, cause: Option<HandlerError>) -> MessageFault {
    let class = error.class();
    match cause {
        Some(cause) if class_of(&*cause) == class => MessageFault::of(class, cause),
        _ => MessageFault::of(class, error.into()),
    }
}

/// Returns whether some effects can be final.
fn is_final(state: &TransactionState) -> bool {
    matches!(
        state,
        TransactionState::Ended {
            may_be_final: true,
            ..
        }
    )
}

/// Returns whether the transaction has ended and no watch recorded the cause.
fn is_unknown(state: &TransactionState) -> bool {
    matches!(state, TransactionState::Ended { cause, .. } if cause == UNKNOWN_CAUSE)
}

/// Returns whether the handler returned the error of the statement that aborted or ended the
/// transaction.
fn names(state: &TransactionState, error: &HandlerError) -> bool {
    let (TransactionState::Aborted { cause } | TransactionState::Ended { cause, .. }) = state
    else {
        return true;
    };
    let mut errors = Some(&**error as &(dyn std::error::Error + 'static));
    while let Some(error) = errors {
        let text = catch(|| error.to_string()).unwrap_or_default();
        if cause.contains(&text) && !text.is_empty() {
            return true;
        }
        errors = error.source();
    }
    false
}
