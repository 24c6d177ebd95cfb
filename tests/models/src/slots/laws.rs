use stateright::Property;

use super::state::Reading;
use super::{Slots, State};
use crate::check::Checked;
use crate::positions::{highest, up_to};

/// No committed message is at or before the cursor and was not handed out.
pub const NOTHING_IS_SKIPPED: &str = "nothing is skipped";

pub(super) fn properties(slots: &Slots) -> Vec<Property<Checked<Slots>>> {
    let mut properties = vec![
        Property::always(NOTHING_IS_SKIPPED, |_, state: &State| {
            let passed = state.database.committed & up_to(state.database.cursor);
            passed & !state.database.delivered == 0
        }),
        Property::always(
            "only what is committed is handed out",
            |_, state: &State| state.database.delivered & !state.database.committed == 0,
        ),
        Property::sometimes("all is delivered", |slots: &Checked<Slots>, state| {
            all_is_delivered(slots, state)
        }),
        Property::sometimes("a publisher holds a reader back", |_, state| {
            somebody_is_held_back(state)
        }),
    ];
    if slots.topic_is_new {
        properties.push(Property::sometimes(
            "the topic's slots are all that a publisher left",
            |_, state: &State| state.database.has_slots && state.database.drawn == 0,
        ));
    }
    if slots.crashes > 0 {
        properties.push(Property::sometimes(
            "a crash would take what was delivered",
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

/// A committed message is beyond the horizon.
fn somebody_is_held_back(state: &State) -> bool {
    let mut readers = state.readers.iter();
    readers.any(|reader| match reader.doing {
        Reading::Horizon(horizon) => highest(state.database.committed) > horizon,
        _ => false,
    })
}
