//! What a consumer remembers from one cycle to the next.

use std::collections::{BTreeMap, BTreeSet};

use crate::consume::caution::Caution;
use crate::consume::gate::Pass;
use crate::consume::unread_progress::UnreadProgress;
use crate::consume::unstored::Unstored;
use crate::consume::waiting::Waiting;
use crate::position::Position;

/// What a consumer remembers from one cycle to the next. Each segment of a consumer that is divided
/// has a memory of its own, because its cursor and its lease are its own.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The last message of a topic that only a newer program reads, of which the log and the
    /// consumer's row tell.
    pub(super) unread_told: Option<Position>,
    /// How far these topics were read for such messages.
    pub(super) unread_passed: BTreeMap<String, UnreadProgress>,
    /// The topic that had a message after its cursor last. It is asked first.
    pub(super) busy_topic: usize,
    /// The cursor that the last poll found or the last page has stored, if there is one topic.
    pub(super) last_polled: Position,
    /// The unknown message before which the consumer waits.
    pub(super) waiting: Option<Waiting>,
    /// Redriven messages that this program does not know: the index of the topic, and the position.
    pub(super) unknown_redriven: BTreeSet<(usize, Position)>,
    /// The place where attempts were interrupted.
    pub(super) caution: Caution,
    /// Final effects whose cursors could not be stored.
    pub(super) unstored: Option<Unstored>,
    /// The right to work alone, kept from one connection to the next.
    pub(super) turn: Option<Pass>,
    /// The cursors of a segment as its thread has read or stored them last, in the order of the topics.
    /// Empty if it had no lease in this time slice. A message that was parked or skipped can be after
    /// them: then the segment is tried once more.
    pub(crate) cursors: Vec<Position>,
}

impl Memory {
    pub(crate) fn has_unstored(&self) -> bool {
        self.unstored.is_some()
    }
}
