use stateright::Property;

use super::state::{RING, Row, State, index};
use super::{Handler, Handling, PROCESSES, SEGMENTS};
use crate::check::Checked;
use crate::progress::Progress;

/// A process begins a message only while it holds the lease, unless the lease runs out between the
/// check and the handler.
pub const ONLY_THE_HOLDER_BEGINS: &str = "only the lease holder begins a message";

/// Two processes do not know the same epoch of a segment.
pub const AN_EPOCH_HAS_ONE_HOLDER: &str = "an epoch has one holder";

/// In a process, a segment has one running thread.
pub const ONE_AT_A_TIME: &str = "a segment has one running thread in a process";

/// A message takes effect for the first time only after all earlier messages of its slot.
pub const KEYS_ARE_IN_ORDER: &str = "keys are in order";

/// A message takes effect twice only after a kill, a suspension or a late answer.
pub const NOTHING_REPEATS_WITHOUT_A_FAULT: &str = "nothing repeats without a fault";

/// The effects of a transactional handler are committed at most once since the last reset.
pub const EFFECTS_COME_ONCE: &str = "effects come once";

/// Messages up to the cursor took effect since the last reset.
pub const NOTHING_IS_SKIPPED: &str = "nothing is skipped";

/// A stored cursor moves to an earlier position only by a reset, or by a store that arrives late.
pub const CURSORS_DO_NOT_GO_BACK: &str = "cursors do not go back";

/// A process that is not suspended, and loses no answer, keeps its leases.
pub const LIVING_KEEP_LEASES: &str = "living processes keep their leases";

/// Each slot belongs to one segment.
pub const THE_RING_IS_WHOLE: &str = "the ring is whole";

pub(super) fn properties(handling: &Handling) -> Vec<Property<Checked<Handling>>> {
    let mut properties = vec![
        Property::always(ONLY_THE_HOLDER_BEGINS, |_, state: &State| {
            !state.seen.began_without_lease
        }),
        Property::always(AN_EPOCH_HAS_ONE_HOLDER, |_, state| {
            an_epoch_has_one_holder(state)
        }),
        Property::always(ONE_AT_A_TIME, |_, state: &State| {
            !state.seen.began_beside_thread
        }),
        Property::always(KEYS_ARE_IN_ORDER, |handling: &Checked<Handling>, state| {
            keys_are_in_order(handling, state)
        }),
        Property::always(
            NOTHING_REPEATS_WITHOUT_A_FAULT,
            |handling: &Checked<Handling>, state| {
                has_fault(handling, state) || state.effects.iter().all(|times| *times <= 1)
            },
        ),
        Property::always(NOTHING_IS_SKIPPED, |handling: &Checked<Handling>, state| {
            nothing_is_skipped(handling, state)
        }),
        Property::always(CURSORS_DO_NOT_GO_BACK, |_, state: &State| {
            !state.seen.cursor_went_back
        }),
        Property::always(LIVING_KEEP_LEASES, |handling: &Checked<Handling>, state| {
            living_keep_leases(handling, state)
        }),
        Property::always(THE_RING_IS_WHOLE, |_, state: &State| {
            let slots = state.segments().map(|row| row.slots);
            slots.fold(0, |ring, slots| {
                (ring | slots) * u8::from(ring & slots == 0)
            }) == RING
        }),
        Property::sometimes(
            "all is done",
            |handling: &Checked<Handling>, state: &State| {
                let no_more = state.left.resizes == 0 && state.left.resets == 0;
                no_more && state.published == handling.messages && handling.is_good(state)
            },
        ),
    ];
    if handling.handler == Handler::Transactional {
        properties.push(Property::always(EFFECTS_COME_ONCE, |_, state: &State| {
            state.effects.iter().all(|times| *times <= 1)
        }));
    }
    properties
}

fn an_epoch_has_one_holder(state: &State) -> bool {
    let knows = |process: usize, segment: usize| {
        let known = state.processes[process].segments[segment];
        known.map(|segment| segment.epoch)
    };
    let knows_another = |process: usize, segment: usize| {
        let mut later = process + 1..PROCESSES;
        let epoch = knows(process, segment);
        epoch.is_some() && later.any(|other| knows(other, segment) == epoch)
    };
    let mut segments = 0..SEGMENTS;
    !segments.any(|segment| (0..PROCESSES).any(|process| knows_another(process, segment)))
}

fn keys_are_in_order(handling: &Handling, state: &State) -> bool {
    (1..=handling.messages).all(|message| {
        let mut earlier = 1..message;
        state.effects[index(message)] == 0
            || earlier.all(|it| {
                handling.slot(it) != handling.slot(message) || state.effects[index(it)] > 0
            })
    })
}

fn nothing_is_skipped(handling: &Handling, state: &State) -> bool {
    state.segments().all(|row| {
        let mut passed = 1..=row.cursor;
        passed.all(|message| {
            row.slots & handling.slot(message) == 0 || state.effects[index(message)] > 0
        })
    })
}

/// Returns `true` if a fault has happened after which a message can be handled again.
fn has_fault(handling: &Handling, state: &State) -> bool {
    let left = state.left;
    let all = (handling.kills, handling.suspensions, handling.delays);
    (left.kills, left.suspensions, left.delays) != all
}

fn living_keep_leases(handling: &Handling, state: &State) -> bool {
    if has_fault(handling, state) || state.left.losses != handling.losses {
        return true;
    }
    let is_kept = |process: usize, segment: usize| {
        let row: &Row = &state.rows[segment];
        let known = state.processes[process].segments[segment];
        let is_owner = row.owner == Some(state.owner(process));
        let knows = known.is_some_and(|known| known.epoch == row.epoch);
        let is_locked = state.is_locked(segment);
        (!is_owner || knows && row.lasts > 0 || is_locked) && (known.is_none() || is_owner)
    };
    (0..PROCESSES).all(|process| (0..SEGMENTS).all(|segment| is_kept(process, segment)))
}
