//! Controls for messages whose transaction has ended early, and the violation that remains in the
//! complete protocol.

use persisting_message_bus_models::check::{control, finds};
use persisting_message_bus_models::transaction::Step::*;
use persisting_message_bus_models::transaction::*;

use super::TWO;

/// The page begins, and its first message is handled.
const HANDLES_FIRST: &[Step] = &[Takes(0), Begins(0), Writes(0), ReturnsOk(0)];

/// The last message of an attempt is handled, and the attempt is committed.
const HANDLES_LAST: &[Step] = &[Writes(0), ReturnsOk(0), MovesCursor(0), Commits(0)];

/// The page begins. Its first message commits the transaction.
const COMMITS_EARLY: &[Step] = &[Takes(0), Begins(0), Writes(0), Does(0, Deed::RunsDdl)];

/// The library finds that the transaction has ended.
const IS_FOUND: &[Step] = &[ReturnsOk(0), AsksWhetherIntact(0), LooksForMark(0)];

/// A handler's transaction is rolled back, and its next statement commits by itself. The process
/// dies before it can note this.
#[test]
fn what_remains() {
    finds(
        "what remains, a death outside of the transaction",
        Page { deaths: 1, ..TWO },
        EFFECTS_COME_ONCE,
        &[
            &[Takes(0), Begins(0)],
            &[Writes(0), Does(0, Deed::RollsBack), Writes(0), Dies(0)],
            &[Takes(0), Begins(0), Writes(0), Writes(0), ReturnsOk(0)],
            HANDLES_LAST,
        ],
    );
}

/// The library takes an early commit for a rollback.
#[test]
fn without_the_mark() {
    control(
        "no mark",
        TWO,
        |it| it.mark = false,
        EFFECTS_COME_ONCE,
        &[
            HANDLES_FIRST,
            &[Writes(0), Does(0, Deed::RunsDdl)],
            IS_FOUND,
            &[Begins(0)],
            HANDLES_LAST,
        ],
    );
}

/// The library takes the mark of a dead process for its own, and so a rollback for an early commit.
#[test]
fn with_a_mark_that_stays() {
    control(
        "mark of an earlier holder stays",
        Page {
            messages: 3,
            page_size: 3,
            most_deeds: 2,
            deaths: 1,
            ..TWO
        },
        |it| it.earlier_mark_goes = false,
        NOTHING_IS_SKIPPED,
        &[
            COMMITS_EARLY,
            &[Dies(0)],
            HANDLES_FIRST,
            &[Writes(0), ReturnsOk(0)],
            &[Writes(0), Does(0, Deed::RollsBack)],
            IS_FOUND,
            &[NotesFinal(0)],
        ],
    );
}

#[test]
fn with_a_mark_that_is_not_announced() {
    control(
        "mark is not announced",
        Page { deaths: 1, ..TWO },
        |it| it.mark_is_announced = false,
        EFFECTS_COME_ONCE_IF_NOTED,
        &[COMMITS_EARLY, &[Dies(0)], HANDLES_FIRST, HANDLES_LAST],
    );
}

#[test]
fn where_what_is_final_is_attempted_again() {
    control(
        "final effects are attempted again",
        TWO,
        |it| it.final_is_given_up = false,
        EFFECTS_COME_ONCE,
        &[
            COMMITS_EARLY,
            IS_FOUND,
            &[StoresCursor(0), RecordsFailure(0)],
            HANDLES_FIRST,
            HANDLES_LAST,
        ],
    );
}

#[test]
fn with_the_cursor_and_the_note_apart() {
    control(
        "cursor and note apart",
        Page { deaths: 1, ..TWO },
        |it| it.noted_with_cursor = false,
        EFFECTS_COME_ONCE_IF_NOTED,
        &[
            COMMITS_EARLY,
            IS_FOUND,
            &[StoresCursor(0), Dies(0)],
            HANDLES_FIRST,
            HANDLES_LAST,
        ],
    );
}

/// While the page is handled again, a message before the guilty one fails, so the guilty one is
/// forgotten.
#[test]
fn with_the_note_after_the_page() {
    control(
        "note after the page",
        Page { errors: 1, ..TWO },
        |it| it.noted_first = false,
        EFFECTS_COME_ONCE_IF_NOTED,
        &[
            HANDLES_FIRST,
            &[Writes(0), Does(0, Deed::RollsBack), Writes(0)],
            IS_FOUND,
            &[Begins(0), Writes(0), ReturnsError(0), RecordsFailure(0)],
            HANDLES_FIRST,
            &[Writes(0)],
            HANDLES_LAST,
        ],
    );
}

#[test]
fn without_the_search() {
    control(
        "no search",
        Page {
            server: Server::Postgres,
            most_deeds: 0,
            poison: Some(1),
            ..TWO
        },
        |it| it.searches = false,
        ONLY_THE_GUILTY_IS_BLAMED,
        &[
            HANDLES_FIRST,
            &[Writes(0), ReturnsOk(0), MovesCursor(0), CommitFails(0)],
            &[RecordsFailure(0)],
        ],
    );
}

#[test]
fn where_a_hook_that_was_committed_does_not_count() {
    control(
        "hook does not count",
        Page { hook: true, ..TWO },
        |it| it.hook_counts = false,
        THE_HOOK_IS_NOT_REPEATED,
        &[COMMITS_EARLY, IS_FOUND],
    );
}
