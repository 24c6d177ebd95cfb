use stateright::Property;

use super::state::{Publishing, Reading, Savepoint};
use super::{Fence, State, TOPICS};
use crate::check::Checked;
use crate::positions::{highest, up_to};

/// Every committed message at or before the cursor was handed out.
pub const NOTHING_IS_SKIPPED: &str = "nothing is skipped";

pub(super) fn properties(fence: &Fence) -> Vec<Property<Checked<Fence>>> {
    let mut properties = vec![
        Property::always(NOTHING_IS_SKIPPED, |_, state| nothing_is_skipped(state)),
        Property::sometimes("all is delivered", |fence: &Checked<Fence>, state| {
            all_is_delivered(fence, state)
        }),
        Property::sometimes("a publisher holds a reader back", |_, state| {
            a_reader_is_held_back(state)
        }),
    ];
    if fence.publishers.iter().any(|publisher| publisher.savepoint) {
        properties.push(Property::sometimes(
            "a transaction continues after a rollback to its savepoint",
            |_, state| a_transaction_goes_on(state),
        ));
    }
    if fence.crashes > 0 {
        properties.push(Property::sometimes(
            "a crash would undo a delivery",
            |fence: &Checked<Fence>, state: &State| {
                let delivered = state.database.delivered;
                state.crashes < fence.crashes && state.on_disk.delivered != delivered
            },
        ));
    }
    properties
}

fn nothing_is_skipped(state: &State) -> bool {
    let database = &state.database;
    (0..TOPICS).all(|topic| {
        let passed = database.committed[topic] & up_to(database.cursors[topic]);
        passed & !database.delivered[topic] == 0
    })
}

fn all_is_delivered(fence: &Fence, state: &State) -> bool {
    let database = &state.database;
    let mut publishers = state.publishers.iter();
    publishers.all(|publisher| publisher.transactions_left == 0 && !publisher.transaction.is_open)
        && (0..TOPICS).all(|topic| {
            !fence.read[topic]
                || database.committed[topic] != 0
                    && database.committed[topic] == database.delivered[topic]
        })
}

/// Returns `true` if a committed message is after the high-water mark of its reader.
fn a_reader_is_held_back(state: &State) -> bool {
    (0..TOPICS).any(|topic| match state.readers[topic].doing {
        Reading::HighWaterMark(mark) => highest(state.database.committed[topic]) > mark,
        _ => false,
    })
}

fn a_transaction_goes_on(state: &State) -> bool {
    let mut publishers = state.publishers.iter();
    publishers.any(|publisher| {
        publisher.savepoint == Savepoint::RolledBack
            && matches!(publisher.doing, Publishing::Draws { .. })
    })
}
