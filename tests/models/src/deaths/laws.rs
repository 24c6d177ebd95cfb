use stateright::Property;

use super::state::{Note, Phase, State, bit};
use super::{CONSUMERS, Deaths};
use crate::check::Checked;

/// What is given up has ended its process.
pub const NOBODY_IS_BLAMED_FOR_ANOTHER: &str = "only the deadly message is given up";

/// A message has no more attempts than it was handed out alone when its process died, or the lease
/// expired.
pub const ONLY_WHAT_IS_HANDED_OUT_COUNTS: &str = "only what is handed out counts";

/// A deadly message ends a process once in a page, and once for each attempt.
pub const DEATHS_ARE_BOUNDED: &str = "deaths are bounded";

pub(super) fn properties(deaths: &Deaths) -> Vec<Property<Checked<Deaths>>> {
    let mut properties = vec![
        Property::always(
            NOBODY_IS_BLAMED_FOR_ANOTHER,
            |deaths: &Checked<Deaths>, state| nobody_is_blamed(deaths, state),
        ),
        Property::always(ONLY_WHAT_IS_HANDED_OUT_COUNTS, |_, state: &State| {
            let mut consumers = state.consumers.iter();
            consumers.all(|it| {
                it.attempts
                    .iter()
                    .zip(it.unlucky)
                    .all(|(attempts, times)| *attempts <= times)
            })
        }),
        Property::always(DEATHS_ARE_BOUNDED, |deaths: &Checked<Deaths>, state| {
            deaths_are_bounded(deaths, state)
        }),
        Property::always(
            "who is not done can go on",
            |deaths: &Checked<Deaths>, state| is_done(deaths, state) || !deaths.is_at_an_end(state),
        ),
        Property::sometimes(
            "all consumers are done",
            |deaths: &Checked<Deaths>, state| is_done(deaths, state),
        ),
    ];
    if deaths.deadly.is_some() {
        properties.push(Property::sometimes(
            "the deadly message is given up",
            |_, state: &State| state.consumers[0].given_up != 0,
        ));
    }
    if deaths.consumers == 2 && deaths.deadly.is_some() {
        properties.push(Property::sometimes(
            "an innocent consumer waits for a suspicious one",
            |_, state: &State| somebody_waits(state),
        ));
    }
    properties
}

fn nobody_is_blamed(deaths: &Deaths, state: &State) -> bool {
    (0..CONSUMERS).all(|consumer| {
        let deadly = deaths.deadly.filter(|_| consumer == 0);
        let guilty = deadly.map_or(0, bit);
        state.consumers[consumer].given_up & !guilty == 0
    })
}

/// What happens meanwhile may cost the suspicion, and so another death in a page.
fn deaths_are_bounded(deaths: &Deaths, state: &State) -> bool {
    let left = state.left;
    let others =
        deaths.kills + deaths.losses + deaths.expiries - left.kills - left.losses - left.expiries;
    state.deaths <= 1 + deaths.attempts + others
}

fn is_done(deaths: &Deaths, state: &State) -> bool {
    let mut consumers = state.consumers[..deaths.consumers].iter();
    consumers.all(|consumer| consumer.cursor == deaths.messages)
}

fn somebody_waits(state: &State) -> bool {
    state.processes.iter().any(|process| {
        let [one, other] = process.threads;
        let waits = |thread: super::state::Thread| thread.phase == Phase::Notes;
        waits(other) && one.hands_out() && state.consumers[0].note == Note::Alone
    })
}
