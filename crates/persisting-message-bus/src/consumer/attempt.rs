//! Why an attempt to handle messages in a transaction was rolled back.

use super::handler::{HandlerError, guarded};
use crate::error::class::{Class, class_of};
use crate::transactions::{Guarded, UNKNOWN_CAUSE};
use crate::{Error, EventSet, Message, TransactionState, Transactions};

/// Why an attempt was rolled back.
#[derive(Debug)]
pub enum Failure {
    /// The bus failed before any message was handed out, or the lease is lost.
    Before(Error),
    /// The consumer is to end.
    Stopping,
    /// A message failed: the one at this offset, where that is known. Nothing of the attempt is final.
    Message(Option<usize>, Culprit),
    /// The transaction was over before its end, and something may be final.
    Ended(Option<usize>, Culprit),
}

/// What was wrong with a message.
#[derive(Debug)]
pub enum Culprit {
    /// It fails each time, as far as one can tell.
    Failed(HandlerError),
    /// What has happened may not happen again.
    Interrupted(Class, HandlerError),
    /// The handler left the transaction. Its own error, if it returned one.
    Left(TransactionState, Option<HandlerError>),
    /// The handler returned this in a transaction in that state. What it means is told when the transaction is
    /// rolled back: to ask an error for its text calls code of the application.
    Returned(HandlerError, TransactionState),
}

impl Failure {
    /// The cursors of so many messages were not stored and committed after their handler.
    pub(super) fn after(messages: usize, error: Error) -> Self {
        match error.class() {
            _ if messages == 0 => Self::Before(error),
            // The lease is lost, for one.
            None => Self::Before(error),
            Some(class) => {
                let alone = (messages == 1).then_some(0);
                Self::Message(alone, Culprit::of(Some(class), error.into()))
            }
        }
    }
}

impl Failure {
    /// Tells what the handler's error means. The transaction has to be rolled back.
    pub(super) fn told(self) -> Self {
        match self {
            // Nobody watched: a deadlock that is returned is more likely than a commit before it.
            Self::Ended(offset, Culprit::Returned(cause, state))
                if is_unknown(&state) && class_of(&*cause) == Some(Class::Transient) =>
            {
                Self::Message(offset, Culprit::Interrupted(Class::Transient, cause))
            }
            Self::Message(offset, culprit) => Self::Message(offset, culprit.told()),
            Self::Ended(offset, culprit) => Self::Ended(offset, culprit.told()),
            other => other,
        }
    }
}

impl Culprit {
    pub(super) fn told(self) -> Self {
        match self {
            Self::Returned(cause, state) => {
                let class = class_of(&*cause);
                // An earlier statement has failed, and that was ignored.
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

    /// Whether the messages before it, or a half of them where it is not known which one it is, are tried
    /// now: after an interruption only if the connection is good, and they are known.
    pub(super) fn goes_on(&self, offset: Option<usize>) -> bool {
        match self {
            Self::Interrupted(Class::Disconnected, _) => false,
            Self::Interrupted(..) => offset.is_some(),
            _ => true,
        }
    }

    /// The error of the message.
    pub(super) fn error<S: EventSet>(self, message: &Message<S>) -> Error {
        match self {
            Self::Failed(cause) => Error::handler(message, cause),
            Self::Interrupted(class, cause) => Error::interrupted(message, class, cause),
            Self::Left(state, cause) => Error::left_transaction(message, state, cause),
            Self::Returned(cause, _) => Error::of_handler(message, cause),
        }
    }
}

/// What has to be said of a handler that has returned, and of the transaction that it leaves.
pub(super) fn judge<B: Transactions + ?Sized>(
    transaction: &mut Guarded<'_, B>,
    offset: Option<usize>,
    handled: Result<(), HandlerError>,
) -> Result<(), Failure> {
    let state = match transaction.state() {
        Ok(state) => state,
        Err(error) => return Err(Failure::Message(offset, lost(error, handled.err()))),
    };
    let is_final = is_final(&state);
    let culprit = match (handled, state) {
        (Ok(()), TransactionState::Open) => return Ok(()),
        (Ok(()), left) => Culprit::Left(left, None),
        (Err(cause), state) => Culprit::Returned(cause, state),
    };
    Err(if is_final {
        Failure::Ended(offset, culprit)
    } else {
        Failure::Message(offset, culprit)
    })
}

/// What has to be said of the transaction when so many messages are handled: before their cursor is stored.
pub(super) fn judge_at_end<B: Transactions + ?Sized>(
    transaction: &mut Guarded<'_, B>,
    messages: usize,
) -> Result<(), Failure> {
    let alone = (messages == 1).then_some(0);
    match transaction.state_at_end() {
        Ok(TransactionState::Open) => Ok(()),
        Ok(left) if is_final(&left) => Err(Failure::Ended(alone, Culprit::Left(left, None))),
        Ok(left) => Err(Failure::Message(alone, Culprit::Left(left, None))),
        Err(error) => Err(Failure::Message(alone, lost(error, None))),
    }
}

/// The connection was lost in a handler, or after it.
fn lost(error: Error, cause: Option<HandlerError>) -> Culprit {
    let class = error.class();
    match cause {
        Some(cause) if class_of(&*cause) == class => Culprit::of(class, cause),
        _ => Culprit::of(class, error.into()),
    }
}

/// Whether something may be final.
fn is_final(state: &TransactionState) -> bool {
    matches!(
        state,
        TransactionState::Ended {
            may_be_final: true,
            ..
        }
    )
}

/// Whether the transaction has ended, and nobody watched how.
fn is_unknown(state: &TransactionState) -> bool {
    matches!(state, TransactionState::Ended { cause, .. } if cause == UNKNOWN_CAUSE)
}

/// Whether the error of a handler is that of the statement that did it.
fn names(state: &TransactionState, error: &HandlerError) -> bool {
    let (TransactionState::Aborted { cause } | TransactionState::Ended { cause, .. }) = state
    else {
        return true;
    };
    let mut errors = Some(&**error as &(dyn std::error::Error + 'static));
    while let Some(error) = errors {
        let text = guarded(|| Ok(error.to_string())).unwrap_or_default();
        if cause.contains(&text) && !text.is_empty() {
            return true;
        }
        errors = error.source();
    }
    false
}
