use stateright::Property;

use super::state::{Note, Phase, State, bit, effect};
use super::{Deed, MESSAGES, Page, Server};
use crate::check::Checked;

/// The effects of each message up to the cursor are final, unless the failure policy was applied to
/// the message.
pub const NOTHING_IS_SKIPPED: &str = "nothing is skipped";

/// No effect of a message is committed twice, unless a holder has announced this. A hook that has
/// failed is called again, and its effects are repeated.
pub const EFFECTS_COME_ONCE: &str = "effects come once, or are announced";

/// As `EFFECTS_COME_ONCE`, except for effects that a handler had outside of the transaction just
/// before its process died or lost the lease.
pub const EFFECTS_COME_ONCE_IF_NOTED: &str =
    "effects come once, are announced, or could not be noted";

/// A message has a note only if its own handler has misbehaved.
pub const ONLY_THE_GUILTY_IS_BLAMED: &str = "only the guilty message is blamed";

/// At most one handler runs in a transaction of the library.
pub const ONE_AT_A_TIME: &str = "one transaction is handled at a time";

/// The number of times that a handler misbehaves on a message is bounded.
pub const ATTEMPTS_ARE_BOUNDED: &str = "attempts are bounded";

/// A hook that returned `Ok`, and whose effects are final, is not called again.
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
        Property::always(ONLY_THE_GUILTY_IS_BLAMED, |page: &Checked<Page>, state| {
            only_the_guilty_is_blamed(page, state)
        }),
        Property::always(ONE_AT_A_TIME, |_, state| one_at_a_time(state)),
        Property::always(ATTEMPTS_ARE_BOUNDED, |page: &Checked<Page>, state| {
            attempts_are_bounded(page, state)
        }),
        Property::always(THE_HOOK_IS_NOT_REPEATED, |_, state: &State| {
            !state.history.hook_was_repeated
        }),
        Property::always(
            "unfinished work can continue",
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
            "the failure policy is applied",
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
            "a new holder finds a mark",
            |_, state: &State| state.history.announced != 0,
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

fn only_the_guilty_is_blamed(page: &Page, state: &State) -> bool {
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

/// Compares with the allowed attempts. Another failure is allowed for each fault that kept the
/// library from counting, and attempts are allowed again for each message before it, which can fail
/// when the page is handled again.
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
