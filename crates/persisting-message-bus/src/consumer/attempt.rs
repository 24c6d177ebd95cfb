//! Why an attempt to handle messages in a transaction was rolled back.

use super::handler::HandlerError;
use crate::error::{Fault, fault_of};
use crate::transactions::Guarded;
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
    Interrupted(Fault, HandlerError),
    /// The handler left the transaction. Its own error, if it returned one.
    Left(TransactionState, Option<HandlerError>),
}

impl Failure {
    /// The cursors of so many messages were not stored and committed after their handler.
    pub(super) fn after(messages: usize, error: Error) -> Self {
        match error.fault() {
            _ if messages == 0 => Self::Before(error),
            // The lease is lost, for one.
            None => Self::Before(error),
            Some(fault) => {
                let alone = (messages == 1).then_some(0);
                Self::Message(alone, Culprit::of(fault, error.into()))
            }
        }
    }
}

impl Culprit {
    fn of(fault: Fault, cause: HandlerError) -> Self {
        match fault {
            Fault::Lasting => Self::Failed(cause),
            fault => Self::Interrupted(fault, cause),
        }
    }

    pub(super) fn is_interruption(&self) -> bool {
        matches!(self, Self::Interrupted(..))
    }

    /// Whether the messages before it, or a half of them where it is not known which one it is, are tried
    /// now: after an interruption only if the connection is good, and they are known.
    pub(super) fn goes_on(&self, offset: Option<usize>) -> bool {
        match self {
            Self::Interrupted(Fault::Disconnected, _) => false,
            Self::Interrupted(..) => offset.is_some(),
            _ => true,
        }
    }

    /// The error of the message.
    pub(super) fn error<S: EventSet>(self, message: &Message<S>) -> Error {
        match self {
            Self::Failed(cause) => Error::handler(message, cause),
            Self::Interrupted(fault, cause) => Error::interrupted(message, fault, cause),
            Self::Left(state, cause) => Error::left_transaction(message, state, cause),
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
    let is_final = matches!(
        state,
        TransactionState::Ended {
            may_be_final: true,
            ..
        }
    );
    let culprit = match (handled, state) {
        (Ok(()), TransactionState::Open) => return Ok(()),
        (Ok(()), left) => Culprit::Left(left, None),
        (Err(cause), TransactionState::Open) => Culprit::of(fault_of(&*cause), cause),
        (Err(cause), left) if is_final || !names(&left, &cause) => Culprit::Left(left, Some(cause)),
        // It returned the error that did that, as it should.
        (Err(cause), _) => Culprit::of(fault_of(&*cause), cause),
    };
    Err(if is_final {
        Failure::Ended(offset, culprit)
    } else {
        Failure::Message(offset, culprit)
    })
}

/// The connection was lost in a handler, or after it.
fn lost(error: Error, cause: Option<HandlerError>) -> Culprit {
    let fault = error.fault().unwrap_or(Fault::Lasting);
    match cause {
        Some(cause) if fault_of(&*cause) == fault => Culprit::of(fault, cause),
        _ => Culprit::of(fault, error.into()),
    }
}

/// Whether the error of a handler is that of the statement that did it.
fn names(state: &TransactionState, error: &HandlerError) -> bool {
    let (TransactionState::Aborted { cause } | TransactionState::Ended { cause, .. }) = state
    else {
        return true;
    };
    let mut errors = Some(&**error as &(dyn std::error::Error + 'static));
    while let Some(error) = errors {
        if cause.ends_with(&error.to_string()) && !cause.contains("; then ") {
            return true;
        }
        errors = error.source();
    }
    false
}
