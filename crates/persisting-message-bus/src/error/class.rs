//! What to expect of a database that has failed.

/// The outcome of running the same transaction again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It can succeed: another transaction caused a conflict, or a resource has run out for the
    /// moment.
    Transient,
    /// It can succeed on another connection; this connection is unusable.
    Disconnected,
    /// As `Disconnected`: the server session does not know the statements that were prepared on this
    /// connection, as below a pooler that exchanges sessions.
    Unprepared,
    /// An earlier statement of the transaction has failed; this statement is not the cause.
    Aborted,
    /// It fails again, because the stored value is too large.
    TooLarge,
    /// It fails again, because the connection finds no such table.
    Undefined,
    /// It fails again, because of the way the statement is written.
    Refused,
    /// It fails again.
    Permanent,
}

impl Class {
    /// Returns `true` if neither the handler nor its message is the cause, so that the failure does
    /// not count as an attempt.
    pub(crate) fn may_pass(self) -> bool {
        self == Self::Transient || self.is_lost()
    }

    /// Returns `true` if a table or column that does not exist can be the cause.
    #[cfg_attr(
        not(any(
            feature = "sqlite",
            feature = "postgres_backend",
            feature = "mysql_backend"
        )),
        expect(dead_code, reason = "only databases in SQL have tables")
    )]
    pub(crate) fn may_be_of_tables(self) -> bool {
        matches!(self, Self::Undefined | Self::Refused | Self::Permanent)
    }

    /// Returns `true` if the connection is unusable.
    pub(crate) fn is_lost(self) -> bool {
        matches!(self, Self::Disconnected | Self::Unprepared)
    }
}
