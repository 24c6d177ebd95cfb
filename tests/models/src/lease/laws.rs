use stateright::Property;

use super::state::{Late, Note, Phase, Process, State, bit};
use super::{Handler, Leases, PROCESSES};
use crate::check::Checked;

/// Messages up to the cursor are handled, parked or redriven.
pub const NOTHING_IS_SKIPPED: &str = "nothing is skipped";

/// The effects of a transactional handler are committed at most once since the last reset.
pub const EFFECTS_COME_ONCE: &str = "effects come once";

/// If all processes are idle and a message is redriven, the next poll finds the message as soon as
/// the lease is free.
pub const REDRIVEN_IS_NOT_FORGOTTEN: &str = "redriven messages are not forgotten";

pub(super) fn properties(leases: &Leases) -> Vec<Property<Checked<Leases>>> {
    let mut properties = vec![
        Property::always(NOTHING_IS_SKIPPED, |leases: &Checked<Leases>, state| {
            nothing_is_skipped(leases, state)
        }),
        Property::always(
            REDRIVEN_IS_NOT_FORGOTTEN,
            |leases: &Checked<Leases>, state| redriven_is_not_forgotten(leases, state),
        ),
        Property::always(
            "unfinished work can continue",
            |leases: &Checked<Leases>, state| is_done(leases, state) || !leases.is_at_an_end(state),
        ),
        Property::sometimes(
            "all messages are handled",
            |leases: &Checked<Leases>, state| is_done(leases, state),
        ),
    ];
    if leases.handler == Handler::Transactional {
        properties.push(Property::always(EFFECTS_COME_ONCE, |_, state: &State| {
            state.database.effects.iter().all(|times| *times <= 1)
        }));
    }
    if leases.failures >= leases.attempts {
        properties.push(Property::sometimes(
            "a message is parked",
            |_, state: &State| state.database.notes.contains(&Note::Parked),
        ));
    }
    if leases.redrives > 0 {
        properties.push(Property::sometimes(
            "a redriven message is handled",
            |leases: &Checked<Leases>, state: &State| {
                state.left.redrives < leases.redrives
                    && is_done(leases, state)
                    && state.database.notes == [Note::None; super::MESSAGES]
            },
        ));
    }
    if leases.losses > 0 && leases.handler == Handler::Transactional {
        properties.push(Property::sometimes(
            "a COMMIT can arrive late",
            |_, state: &State| {
                state
                    .processes
                    .iter()
                    .any(|it| matches!(it.late, Some(Late::Transaction { commits: true, .. })))
            },
        ));
    }
    if leases.resets > 0 {
        properties.push(Property::sometimes(
            "all messages are replayed",
            |leases: &Checked<Leases>, state: &State| {
                state.left.resets == 0 && state.reset.is_none() && is_done(leases, state)
            },
        ));
    }
    if leases.crashes > 0 {
        properties.push(Property::sometimes(
            "a crash would undo a cursor",
            |_, state: &State| {
                state.left.crashes > 0 && state.on_disk.cursor < state.database.cursor
            },
        ));
    }
    properties
}

fn nothing_is_skipped(leases: &Leases, state: &State) -> bool {
    let database = &state.database;
    let mut passed = (1..=database.cursor).zip(database.notes.iter().zip(database.effects));
    passed.all(|(message, (note, effects))| {
        let is_handled = match leases.handler {
            Handler::Transactional => effects > 0,
            Handler::External => state.called & bit(message) != 0,
        };
        is_handled || matches!(note, Note::Parked | Note::Redriven)
    })
}

fn redriven_is_not_forgotten(leases: &Leases, state: &State) -> bool {
    let rests = |it: &Process| it.phase == Phase::Idle && it.late.is_none();
    if state.database.redriven().is_none() || !state.processes.iter().all(rests) {
        return true;
    }
    let mut free = *state;
    free.database.release();
    (0..PROCESSES).all(|process| {
        let polled = leases.looks(&free, process);
        let takes = Phase::Takes { redriven: true };
        polled.is_some_and(|next| next.processes[process].phase == takes)
    })
}

fn is_done(leases: &Leases, state: &State) -> bool {
    state.database.cursor == leases.messages && state.database.redriven().is_none()
}
