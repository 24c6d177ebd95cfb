//! What to expect of a database that has failed.

/// The outcome of running the same transaction again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It can succeed: another transaction caused a conflict, or a resource has run out for the
    /// moment.
    Transient,
    /// It can succeed on another connection; this connection is unusable.
    Disconnected,
    /// An earlier statement of the transaction has failed; this statement is not the cause.
    Aborted,
    /// It fails again, because the stored value is too large.
    TooLarge,
    /// It fails again, because of the way the statement is written.
    Refused,
    /// It fails again.
    Permanent,
}

impl Class {
    /// Returns `true` if neither the handler nor its message is the cause, so that the failure does
    /// not count as an attempt.
    pub(crate) fn may_pass(self) -> bool {
        matches!(self, Self::Transient | Self::Disconnected)
    }
}
