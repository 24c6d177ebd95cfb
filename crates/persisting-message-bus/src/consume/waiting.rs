use std::time::Instant;

use crate::position::Position;

/// A message before which the consumer waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    /// The index of its topic.
    pub(super) topic: usize,
    pub(super) position: Position,
    /// The cursor of the consumer on that topic.
    pub(super) cursor: Option<Position>,
    /// The time at which the failure policy applies, if there is one.
    pub(super) until: Option<Instant>,
}
