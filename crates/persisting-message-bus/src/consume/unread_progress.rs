//! What a consumer remembers of the search for messages that only a newer program of its name reads.

use crate::position::Position;
use crate::store::event_set::Types;
use crate::store::slot_observations::SlotObservations;

/// How far a topic was read for messages that only a newer program reads.
#[derive(Debug, Default)]
pub(super) struct UnreadProgress {
    /// The cursor of the newer program, after which the search began.
    cursor: Position,
    /// The types that the newer program reads.
    types: Option<Types>,
    /// There is no such message after the cursor and up to here.
    pub(super) up_to: Position,
    pub(super) observations: SlotObservations,
}

impl UnreadProgress {
    /// Begins again if the cursor or the types have changed.
    pub(super) fn continue_after(&mut self, cursor: Position, types: &Types) {
        if self.cursor != cursor || self.types.as_ref() != Some(types) {
            (self.cursor, self.up_to) = (cursor, cursor);
            self.types = Some(types.clone());
        }
    }
}
