use std::fmt;

use serde::Serialize;

/// Where a message stands in its repository.
///
/// In SQL it is the row's `id`. What is dispatched after another message's commit has the larger one;
/// there may be gaps. [`Position::START`], 0, stands before all messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct Position(i64);

impl Position {
    /// Before all messages.
    pub const START: Self = Self(0);

    /// Behind all messages that can ever be.
    pub(crate) const LAST: Self = Self(i64::MAX);

    /// The position of the row `id`.
    #[must_use]
    pub const fn new(id: i64) -> Self {
        Self(id)
    }

    /// The last position before this one.
    pub(crate) fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The row's `id`.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
