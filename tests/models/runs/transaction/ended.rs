//! Controls for messages whose transaction has ended early, and the violation that remains in the
//! complete protocol.

use persisting_message_bus_models::check::finds;
use persisting_message_bus_models::transaction::Step::*;
use persisting_message_bus_models::transaction::*;

use super::{ALL, TWO, control};

/// A handler's transaction is rolled back, and its next statement commits by itself. The process
/// dies before it can note this.
#[test]
fn what_remains() {
    let page = Page { deaths: 1, ..TWO };
    finds(
        "what remains, a death outside of the transaction",
        page,
        EFFECTS_COME_ONCE,
        &[
            Takes(0),
            Begins(0),
            Writes(0),
            Does(0, Deed::RollsBack),
            Writes(0),
            Dies(0),
            Takes(0),
            Begins(0),
            Writes(0),
            Writes(0),
            ReturnsOk(0),
            Writes(0),
            ReturnsOk(0),
            MovesCursor(0),
            Commits(0),
        ],
    );
}

/// The library takes an early commit for a rollback.
#[test]
fn without_the_mark() {
    let page = TWO;
    let mechanisms = Mechanisms { mark: false, ..ALL };
    let expected = [
        Takes(0),
        Begins(0),
        Writes(0),
        ReturnsOk(0),
        Writes(0),
        Does(0, Deed::RunsDdl),
        ReturnsOk(0),
        AsksWhetherIntact(0),
        LooksForMark(0),
        Begins(0),
        Writes(0),
        ReturnsOk(0),
        MovesCursor(0),
        Commits(0),
    ];
    control("no mark", page, mechanisms, EFFECTS_COME_ONCE, &expected);
}

/// The library takes the mark of a dead process for its own, and so a rollback for an early commit.
#[test]
fn with_a_mark_of_any_epoch() {
    let page = Page {
        messages: 3,
        page_size: 3,
        most_deeds: 2,
        deaths: 1,
        ..TWO
    };
    let mechanisms = Mechanisms {
        mark_names_epoch: false,
        ..ALL
    };
    let expected = [
        Takes(0),
        Begins(0),
        Writes(0),
        Does(0, Deed::RunsDdl),
        Dies(0),
        Takes(0),
        Begins(0),
        Writes(0),
        ReturnsOk(0),
        Writes(0),
        ReturnsOk(0),
        Writes(0),
        Does(0, Deed::RollsBack),
        ReturnsOk(0),
        AsksWhetherIntact(0),
        LooksForMark(0),
        GivesUp(0),
    ];
    control(
        "mark without epoch",
        page,
        mechanisms,
        NOTHING_IS_SKIPPED,
        &expected,
    );
}

/// The page is handled again up to a message that fails, which removes the mark. Effects after that
/// message are repeated, and no process has announced this.
#[test]
fn with_a_mark_without_an_end() {
    let page = Page {
        errors: 1,
        deaths: 1,
        ..TWO
    };
    let mechanisms = Mechanisms {
        mark_names_end: false,
        ..ALL
    };
    let expected = [
        Takes(0),
        Begins(0),
        Writes(0),
        ReturnsOk(0),
        Writes(0),
        Does(0, Deed::RunsDdl),
        Dies(0),
        Takes(0),
        Begins(0),
        Writes(0),
        ReturnsOk(0),
        Writes(0),
        ReturnsError(0),
        Begins(0),
        Writes(0),
        ReturnsOk(0),
        MovesCursor(0),
        Commits(0),
        RecordsFailure(0),
        Takes(0),
        Begins(0),
        Writes(0),
        ReturnsOk(0),
        MovesCursor(0),
        Commits(0),
    ];
    control(
        "mark without an end",
        page,
        mechanisms,
        EFFECTS_COME_ONCE_IF_NOTED,
        &expected,
    );
}

#[test]
fn with_a_mark_that_is_not_announced() {
    let page = Page { deaths: 1, ..TWO };
    let mechanisms = Mechanisms {
        mark_is_announced: false,
        ..ALL
    };
    let expected = [
        Takes(0),
        Begins(0),
        Writes(0),
        Does(0, Deed::RunsDdl),
        Dies(0),
        Takes(0),
        Begins(0),
        Writes(0),
        ReturnsOk(0),
        Writes(0),
        ReturnsOk(0),
        MovesCursor(0),
        Commits(0),
    ];
    control(
        "mark is not announced",
        page,
        mechanisms,
        EFFECTS_COME_ONCE_IF_NOTED,
        &expected,
    );
}

#[test]
fn where_what_is_final_is_attempted_again() {
    let page = TWO;
    let mechanisms = Mechanisms {
        final_is_given_up: false,
        ..ALL
    };
    let expected = [
        Takes(0),
        Begins(0),
        Writes(0),
        Does(0, Deed::RunsDdl),
        ReturnsOk(0),
        AsksWhetherIntact(0),
        LooksForMark(0),
        StoresCursor(0),
        RecordsFailure(0),
        Takes(0),
        Begins(0),
        Writes(0),
        ReturnsOk(0),
        Writes(0),
        ReturnsOk(0),
        MovesCursor(0),
        Commits(0),
    ];
    control(
        "final effects are attempted again",
        page,
        mechanisms,
        EFFECTS_COME_ONCE,
        &expected,
    );
}

#[test]
fn with_the_cursor_and_the_note_apart() {
    let page = Page { deaths: 1, ..TWO };
    let mechanisms = Mechanisms {
        given_up_together: false,
        ..ALL
    };
    let expected = [
        Takes(0),
        Begins(0),
        Writes(0),
        Does(0, Deed::RunsDdl),
        ReturnsOk(0),
        AsksWhetherIntact(0),
        LooksForMark(0),
        StoresCursor(0),
        Dies(0),
        Takes(0),
        Begins(0),
        Writes(0),
        ReturnsOk(0),
        Writes(0),
        ReturnsOk(0),
        MovesCursor(0),
        Commits(0),
    ];
    control(
        "cursor and note apart",
        page,
        mechanisms,
        EFFECTS_COME_ONCE_IF_NOTED,
        &expected,
    );
}

/// While the page is handled again, a message before the guilty one fails, so the guilty one is
/// forgotten.
#[test]
fn with_the_note_after_the_page() {
    let page = Page { errors: 1, ..TWO };
    let mechanisms = Mechanisms {
        noted_first: false,
        ..ALL
    };
    let expected = [
        Takes(0),
        Begins(0),
        Writes(0),
        ReturnsOk(0),
        Writes(0),
        Does(0, Deed::RollsBack),
        Writes(0),
        ReturnsOk(0),
        AsksWhetherIntact(0),
        LooksForMark(0),
        Begins(0),
        Writes(0),
        ReturnsError(0),
        RecordsFailure(0),
        Takes(0),
        Begins(0),
        Writes(0),
        ReturnsOk(0),
        Writes(0),
        Writes(0),
        ReturnsOk(0),
        MovesCursor(0),
        Commits(0),
    ];
    control(
        "note after the page",
        page,
        mechanisms,
        EFFECTS_COME_ONCE_IF_NOTED,
        &expected,
    );
}

#[test]
fn without_the_search() {
    let page = Page {
        server: Server::Postgres,
        most_deeds: 0,
        poison: Some(1),
        ..TWO
    };
    let mechanisms = Mechanisms {
        searches: false,
        ..ALL
    };
    let expected = [
        Takes(0),
        Begins(0),
        Writes(0),
        ReturnsOk(0),
        Writes(0),
        ReturnsOk(0),
        MovesCursor(0),
        CommitFails(0),
        RecordsFailure(0),
    ];
    control(
        "no search",
        page,
        mechanisms,
        ONLY_THE_GUILTY_IS_BLAMED,
        &expected,
    );
}

#[test]
fn where_a_hook_that_was_committed_does_not_count() {
    let page = Page { hook: true, ..TWO };
    let mechanisms = Mechanisms {
        hook_counts: false,
        ..ALL
    };
    let expected = [
        Takes(0),
        Begins(0),
        Writes(0),
        Does(0, Deed::RunsDdl),
        ReturnsOk(0),
        AsksWhetherIntact(0),
        LooksForMark(0),
    ];
    control(
        "hook does not count",
        page,
        mechanisms,
        THE_HOOK_IS_NOT_REPEATED,
        &expected,
    );
}
