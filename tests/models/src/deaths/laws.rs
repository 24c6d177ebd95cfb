use stateright::Property;

use super::state::{Note, Phase, State, bit};
use super::{CONSUMERS, Deaths};
use crate::check::Checked;

/// Only a message that ends its process is blamed.
pub const ONLY_THE_GUILTY_IS_BLAMED: &str = "only the deadly message is blamed";

/// A message has at most one attempt for each time that its process died, or the lease expired,
/// while the message was handed out alone.
pub const ONLY_WHAT_IS_HANDED_OUT_COUNTS: &str = "only messages that are handed out get attempts";

/// A deadly message ends a process at most once in a page, and once for each attempt.
pub const DEATHS_ARE_BOUNDED: &str = "deaths are bounded";

pub(super) fn properties(deaths: &Deaths) -> Vec<Property<Checked<Deaths>>> {
    let mut properties = vec![
        Property::always(
            ONLY_THE_GUILTY_IS_BLAMED,
            |deaths: &Checked<Deaths>, state| only_the_guilty_is_blamed(deaths, state),
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
            "unfinished work can continue",
            |deaths: &Checked<Deaths>, state| is_done(deaths, state) || !deaths.is_at_an_end(state),
        ),
        Property::sometimes(
            "all consumers are done",
            |deaths: &Checked<Deaths>, state| is_done(deaths, state),
        ),
    ];
    if deaths.deadly.is_some() {
        properties.push(Property::sometimes(
            "the failure policy is applied to the deadly message",
            |_, state: &State| state.consumers[0].given_up != 0,
        ));
    }
    if deaths.consumers == 2 && deaths.deadly.is_some() {
        properties.push(Property::sometimes(
            "an innocent consumer waits for a suspicious one",
            |_, state: &State| a_consumer_waits(state),
        ));
    }
    properties
}

fn only_the_guilty_is_blamed(deaths: &Deaths, state: &State) -> bool {
    (0..CONSUMERS).all(|consumer| {
        let deadly = deaths.deadly.filter(|_| consumer == 0);
        let guilty = deadly.map_or(0, bit);
        state.consumers[consumer].given_up & !guilty == 0
    })
}

/// Each other fault can remove the suspicion, which allows one more death in a page.
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

fn a_consumer_waits(state: &State) -> bool {
    state.processes.iter().any(|process| {
        let [one, other] = process.threads;
        let waits = |thread: super::state::Thread| thread.phase == Phase::Notes;
        waits(other) && one.hands_out() && state.consumers[0].note == Note::Alone
    })
}
