use stateright::Property;

use super::{Holding, PROCESSES, SEGMENTS, State};
use crate::check::Checked;

/// At most one process counts on the lease on a segment. The row names that process, and the lease
/// expires at that time or later.
pub const A_LEASE_HAS_ONE_HOLDER: &str = "a lease has one holder";

/// A process holds at most as many segments as it has threads.
pub const A_SEGMENT_HAS_A_THREAD: &str = "a segment has a thread";

/// While the watched segment is free and has work, the number of takes of other segments is
/// bounded.
pub const NO_SEGMENT_IS_PASSED_OVER: &str = "no segment is passed over";

/// While the watched segment is free and has work, the number of polls of each process that is not
/// suspended is bounded.
pub const NO_SEGMENT_STAYS_FREE: &str = "no segment stays free";

pub(super) fn properties(holding: &Holding) -> Vec<Property<Checked<Holding>>> {
    let mut properties = vec![
        Property::always(A_LEASE_HAS_ONE_HOLDER, |_, state: &State| {
            a_lease_has_one_holder(state)
        }),
        Property::always(
            A_SEGMENT_HAS_A_THREAD,
            |holding: &Checked<Holding>, state: &State| {
                let mut processes = state.processes.iter().zip(holding.threads);
                processes.all(|(process, threads)| process.holds() <= threads)
            },
        ),
        Property::sometimes(
            "all threads work",
            |holding: &Checked<Holding>, state: &State| {
                let held = state.processes.iter().map(|it| it.holds()).sum::<usize>();
                held == holding.segments.min(holding.threads.iter().sum())
            },
        ),
    ];
    if holding.passes.is_some() {
        properties.push(Property::always(
            NO_SEGMENT_IS_PASSED_OVER,
            |holding: &Checked<Holding>, state: &State| Some(state.passes) <= holding.passes,
        ));
        properties.push(Property::sometimes(
            "the bound of passes is reached",
            |holding: &Checked<Holding>, state: &State| Some(state.passes) == holding.passes,
        ));
    }
    if holding.polls.is_some() {
        properties.push(Property::always(
            NO_SEGMENT_STAYS_FREE,
            |holding: &Checked<Holding>, state: &State| {
                holding.polls_of_all(state) <= holding.polls
            },
        ));
        properties.push(Property::sometimes(
            "the bound of polls is reached",
            |holding: &Checked<Holding>, state: &State| {
                holding.polls_of_all(state) == holding.polls
            },
        ));
    }
    if holding.suspensions > 0 {
        properties.push(Property::sometimes(
            "a process knows a segment that another holds",
            |_, state: &State| another_holds(state),
        ));
    }
    properties
}

fn a_lease_has_one_holder(state: &State) -> bool {
    let mut leases = (0..PROCESSES).flat_map(|it| (0..SEGMENTS).map(move |segment| (it, segment)));
    leases.all(
        |(process, segment)| match state.processes[process].known[segment] {
            None | Some(0) => true,
            Some(lasts) => {
                state.knows_latest(process, segment) && lasts <= state.rows[segment].lasts
            }
        },
    )
}

fn another_holds(state: &State) -> bool {
    (0..SEGMENTS).any(|segment| {
        let row = &state.rows[segment];
        let mut knows = (0..PROCESSES).filter(|it| state.processes[*it].known[segment].is_some());
        !row.is_free() && knows.any(|process| !state.knows_latest(process, segment))
    })
}
