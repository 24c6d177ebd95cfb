use stateright::Property;

use super::state::{Note, Phase, State, bit, effect};
use super::{Deed, MESSAGES, Page, Server};
use crate::check::Checked;

/// The effects of all messages up to the cursor are final, but of those that were given up.
pub const NOTHING_IS_SKIPPED: &str = "nothing is skipped";

/// No effect of a message is committed twice, unless who commits it again knows that it might be. A hook
/// that has failed is called again, and its effects come again.
pub const EFFECTS_COME_ONCE: &str = "effects come once, or are announced";

/// The same without what a process has done outside of the transaction just before it died, or lost
/// the lease.
pub const EFFECTS_COME_ONCE_IF_NOTED: &str = "effects come once, are announced, or nobody knows";

/// What is noted of a message is about what its own handler has done.
pub const NOBODY_IS_BLAMED_FOR_ANOTHER: &str = "nobody is blamed for another's deed";

/// No two handlers are at work in transactions of the library.
pub const ONE_AT_A_TIME: &str = "one transaction is handled at a time";

/// No handler misbehaves on a message more often than the message may be attempted.
pub const ATTEMPTS_ARE_BOUNDED: &str = "attempts are bounded";

/// A hook that returned Ok, and whose effects are final, is not called again.
pub const THE_HOOK_IS_NOT_REPEATED: &str = "a hook that counts is not called again";

pub(super) fn properties(page: &Page) -> Vec<Property<Checked<Page>>> {
    let mut properties = vec![
        Property::always(NOTHING_IS_SKIPPED, |page: &Checked<Page>, state| {
            nothing_is_skipped(page, state)
        }),
        Property::always(EFFECTS_COME_ONCE, |_, state: &State| {
            state.history.unannounced == 0
        }),
        Property::always(EFFECTS_COME_ONCE_IF_NOTED, |_, state: &State| {
            state.history.unannounced & !state.history.unnoted == 0
        }),
        Property::always(
            NOBODY_IS_BLAMED_FOR_ANOTHER,
            |page: &Checked<Page>, state| nobody_is_blamed(page, state),
        ),
        Property::always(ONE_AT_A_TIME, |_, state| one_at_a_time(state)),
        Property::always(ATTEMPTS_ARE_BOUNDED, |page: &Checked<Page>, state| {
            attempts_are_bounded(page, state)
        }),
        Property::always(THE_HOOK_IS_NOT_REPEATED, |_, state: &State| {
            !state.history.hook_was_repeated
        }),
        Property::always(
            "who is not done can go on",
            |page: &Checked<Page>, state| is_done(page, state) || !page.is_at_an_end(state),
        ),
    ];
    if page.poison.is_none() {
        properties.push(Property::sometimes(
            "all messages are handled",
            |page: &Checked<Page>, state: &State| {
                state.row.cursor == Some(page.messages) && state.notes == [Note::None; MESSAGES + 1]
            },
        ));
    }
    if page.poison.is_some() || page.most_deeds + page.errors >= page.attempts {
        properties.push(Property::sometimes(
            "a message is given up",
            |_, state: &State| state.notes.contains(&Note::GivenUp),
        ));
    }
    let commits_early = page.deeds.iter().any(|deed| match deed {
        Deed::RunsDdl => page.server == Server::Mysql,
        Deed::Commits | Deed::CommitsAndBegins => true,
        _ => false,
    });
    if page.most_deeds > 0 && page.deaths > 0 && commits_early {
        properties.push(Property::sometimes(
            "a mark is found by whoever takes the lease",
            |_, state: &State| state.processes.iter().any(|it| it.may_repeat_until > 0),
        ));
    }
    properties
}

fn nothing_is_skipped(page: &Page, state: &State) -> bool {
    let Some(cursor) = state.row.cursor else {
        return true;
    };
    let is_handled = |message: u8| state.effects[effect(message, false)] > 0;
    let is_given_up = |message: u8| state.notes[usize::from(message)] == Note::GivenUp;
    (!page.hook || is_handled(0))
        && (1..=cursor).all(|message| is_handled(message) || is_given_up(message))
}

fn nobody_is_blamed(page: &Page, state: &State) -> bool {
    (1..=page.messages).all(|message| {
        let is_guilty = state.history.guilty & bit(message) != 0 || page.poison == Some(message);
        state.notes[usize::from(message)] == Note::None || is_guilty
    })
}

fn one_at_a_time(state: &State) -> bool {
    let at_work = state.processes.iter().filter(|it| {
        matches!(it.phase, Phase::Handles(_))
            && it.transaction.is_some_and(|transaction| transaction.is_own)
    });
    at_work.count() <= 1
}

/// As often as is allowed, and once more for each time that nobody was there to count, or that a message
/// before it failed when the page was made again.
fn attempts_are_bounded(page: &Page, state: &State) -> bool {
    let left = state.left;
    let uncounted =
        page.deaths + page.expiries + page.losses - left.deaths - left.expiries - left.losses;
    let mut messages = (1..).zip(&state.history.misbehaved[1..]);
    messages.all(|(message, misbehaved)| *misbehaved <= page.attempts * message + uncounted)
}

fn is_done(page: &Page, state: &State) -> bool {
    state.row.has_stopped || state.row.cursor == Some(page.messages)
}
