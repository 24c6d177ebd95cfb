//! The statements of a reader.

use super::state::{Reader, Reading};
use super::{Fence, State, TOPICS};
use crate::positions::{highest, up_to};

impl Fence {
    /// Only in a control: takes the snapshot for the rows before the locks are read.
    pub(super) fn makes_snapshot(&self, state: &State, topic: usize) -> Option<State> {
        if self.mechanisms.rows_in_later_snapshot || state.readers[topic] != Reader::RESTING {
            return None;
        }
        let mut next = *state;
        next.readers[topic].snapshot = Some(state.database.committed[topic]);
        Some(next)
    }

    pub(super) fn looks_for_message(&self, state: &State, topic: usize) -> Option<State> {
        let reader = state.readers[topic];
        let has_snapshot = self.mechanisms.rows_in_later_snapshot || reader.snapshot.is_some();
        if reader.doing != Reading::Nothing || !has_snapshot {
            return None;
        }
        let after = visible(state, topic) & !up_to(state.database.cursors[topic]);
        match after {
            0 if self.mechanisms.idle_reads_no_rows => None,
            0 => Some(with(state, topic, Reading::Idle)),
            _ => Some(with(state, topic, Reading::Asked)),
        }
    }

    pub(super) fn reads_sequence(&self, state: &State, topic: usize) -> Option<State> {
        let last = state.database.last[self.topics[topic].sequence];
        let doing = match state.readers[topic].doing {
            Reading::Asked if self.mechanisms.sequence_before_locks => Reading::Sequence(last),
            Reading::Idle => Reading::HighWaterMark(last),
            Reading::Locks(lowest) => {
                Reading::HighWaterMark(lowest.map_or(last, |lowest| last.min(lowest)))
            }
            _ => return None,
        };
        Some(with(state, topic, doing))
    }

    pub(super) fn looks_at_locks(&self, state: &State, topic: usize) -> Option<State> {
        let lowest = |up_to: u8| self.locks(state, topic).filter(|at| *at <= up_to).min();
        let doing = match state.readers[topic].doing {
            Reading::Asked if !self.mechanisms.sequence_before_locks => {
                Reading::Locks(lowest(u8::MAX))
            }
            // A lock with a value after the last value does not count: `LOWEST_ANNOUNCED`.
            Reading::Sequence(last) => Reading::HighWaterMark(lowest(last).unwrap_or(last)),
            _ => return None,
        };
        Some(with(state, topic, doing))
    }

    /// Returns the values that the locks of a topic's class announce.
    fn locks(&self, state: &State, topic: usize) -> impl Iterator<Item = u8> {
        let class = self.topics[topic].class;
        let of_class = (0..TOPICS).filter(move |other| self.topics[*other].class == class);
        let publishers = state.publishers;
        of_class.flat_map(move |topic| {
            let locks = publishers.map(|publisher| publisher.transaction.locks[topic]);
            locks.into_iter().flatten()
        })
    }

    pub(super) fn reads_head(&self, state: &State, topic: usize) -> Option<State> {
        let Reading::HighWaterMark(high_water_mark) = state.readers[topic].doing else {
            return None;
        };
        let head = highest(visible(state, topic) & up_to(high_water_mark));
        if head > state.database.cursors[topic] {
            return Some(with(state, topic, Reading::Head(head)));
        }
        let mut next = *state;
        next.readers[topic] = Reader::RESTING;
        Some(next)
    }

    pub(super) fn reads_page(&self, state: &State, topic: usize) -> Option<State> {
        let Reading::Head(head) = state.readers[topic].doing else {
            return None;
        };
        let mut next = *state;
        let page = visible(state, topic) & up_to(head) & !up_to(state.database.cursors[topic]);
        next.database.delivered[topic] |= page;
        next.database.cursors[topic] = head;
        next.readers[topic] = Reader::RESTING;
        Some(next)
    }
}

/// Returns the rows that a reader sees now.
fn visible(state: &State, topic: usize) -> u8 {
    let snapshot = state.readers[topic].snapshot;
    snapshot.unwrap_or(state.database.committed[topic])
}

fn with(state: &State, topic: usize, doing: Reading) -> State {
    let mut next = *state;
    next.readers[topic].doing = doing;
    next
}
