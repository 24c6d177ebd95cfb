use stateright::Property;

use super::state::Reading;
use super::{Slots, State};
use crate::check::Checked;
use crate::positions::{highest, up_to};

/// Every committed message at or before the cursor was handed out.
pub const NOTHING_IS_SKIPPED: &str = "nothing is skipped";

pub(super) fn properties(slots: &Slots) -> Vec<Property<Checked<Slots>>> {
    let mut properties = vec![
        Property::always(NOTHING_IS_SKIPPED, |_, state: &State| {
            let passed = state.database.committed & up_to(state.database.cursor);
            passed & !state.database.delivered == 0
        }),
        Property::always(
            "only committed messages are handed out",
            |_, state: &State| state.database.delivered & !state.database.committed == 0,
        ),
        Property::sometimes("all is delivered", |slots: &Checked<Slots>, state| {
            all_is_delivered(slots, state)
        }),
        Property::sometimes("a publisher holds a reader back", |_, state| {
            a_reader_is_held_back(state)
        }),
    ];
    if slots.topic_is_new {
        properties.push(Property::sometimes(
            "a topic has slots and no message",
            |_, state: &State| state.database.has_slots && state.database.drawn == 0,
        ));
    }
    if slots.crashes > 0 {
        properties.push(Property::sometimes(
            "a crash would undo a delivery",
            |slots: &Checked<Slots>, state: &State| {
                let delivered = state.database.delivered;
                state.run < slots.crashes && state.on_disk.delivered != delivered
            },
        ));
    }
    properties
}

fn all_is_delivered(_: &Slots, state: &State) -> bool {
    let database = &state.database;
    let mut publishers = state.publishers.iter();
    publishers.all(|publisher| publisher.transactions_left == 0 && !publisher.is_open)
        && database.committed != 0
        && database.committed == database.delivered
}

/// Returns `true` if a committed message is after the high-water mark of a reader.
fn a_reader_is_held_back(state: &State) -> bool {
    let mut readers = state.readers.iter();
    readers.any(|reader| match reader.doing {
        Reading::HighWaterMark(mark) => highest(state.database.committed) > mark,
        _ => false,
    })
}
