//! Controls: when the library asks about the transaction, and in which transaction it stores the
//! cursor.

use persisting_message_bus_models::check::control;
use persisting_message_bus_models::transaction::Step::*;
use persisting_message_bus_models::transaction::*;

use super::TWO;

/// The page is lost without an error, as soon as another page follows under the same lease.
#[test]
fn where_commit_is_believed() {
    control(
        "COMMIT is believed",
        Page {
            server: Server::Postgres,
            page_size: 1,
            ..TWO
        },
        |it| {
            it.asks = Asks::Never;
            it.cursor_last = false;
            it.touch = false;
        },
        NOTHING_IS_SKIPPED,
        &[
            &[Takes(0)],
            &[Begins(0), Writes(0), Does(0, Deed::FailsStatement)],
            &[ReturnsOk(0), Commits(0)],
            &[Begins(0), Writes(0), ReturnsOk(0), Commits(0)],
        ],
    );
}

fn trust_the_cursor(mechanisms: &mut Mechanisms) {
    mechanisms.asks = Asks::Never;
    mechanisms.cursor_in_transaction = false;
}

#[test]
fn with_the_cursor_outside_of_the_transaction() {
    control(
        "cursor outside of the transaction",
        TWO,
        trust_the_cursor,
        NOTHING_IS_SKIPPED,
        &[
            &[Takes(0), Begins(0)],
            &[Writes(0), Does(0, Deed::RollsBack), ReturnsOk(0)],
            &[Writes(0), ReturnsOk(0)],
            &[MovesCursor(0)],
        ],
    );
}

/// No attempt is counted, so the consumer retries without end.
#[test]
fn where_an_aborted_transaction_is_no_failure() {
    let aborts: &[Step] = &[Writes(0), Does(0, Deed::FailsStatement), ReturnsOk(0)];
    control(
        "an abort is no failure",
        Page {
            server: Server::Postgres,
            most_deeds: 3,
            ..TWO
        },
        trust_the_cursor,
        ATTEMPTS_ARE_BOUNDED,
        &[
            &[Takes(0), Begins(0)],
            aborts,
            &[Writes(0), ReturnsOk(0), MovesCursor(0)],
            &[Takes(0), Begins(0)],
            aborts,
            &[Writes(0), ReturnsOk(0), MovesCursor(0)],
            &[Takes(0), Begins(0)],
            aborts,
        ],
    );
}

#[test]
fn where_the_last_message_is_blamed() {
    control(
        "asks after the last message",
        TWO,
        |it| it.asks = Asks::AfterLast,
        ONLY_THE_GUILTY_IS_BLAMED,
        &[
            &[Takes(0), Begins(0)],
            &[Writes(0), Does(0, Deed::RunsDdl), ReturnsOk(0)],
            &[Writes(0), ReturnsOk(0)],
            &[AsksWhetherIntact(0), LooksForMark(0), NotesFinal(0)],
        ],
    );
}

/// Innocent messages are handled outside of any transaction, so their effects are repeated.
#[test]
fn where_later_messages_run_outside() {
    control(
        "asks after the last message",
        Page {
            messages: 3,
            page_size: 3,
            ..TWO
        },
        |it| it.asks = Asks::AfterLast,
        EFFECTS_COME_ONCE,
        &[
            &[Takes(0), Begins(0)],
            &[Writes(0), Does(0, Deed::RollsBack), ReturnsOk(0)],
            &[Writes(0), ReturnsOk(0)],
            &[Writes(0), ReturnsOk(0)],
            &[AsksWhetherIntact(0), LooksForMark(0)],
            &[Begins(0), Writes(0), ReturnsOk(0)],
            &[Writes(0), ReturnsOk(0)],
            &[AsksWhetherIntact(0), MovesCursor(0), Commits(0)],
        ],
    );
}

#[test]
fn where_no_check_follows_an_error() {
    control(
        "asks after Ok only",
        Page { errors: 1, ..TWO },
        |it| it.asks = Asks::AfterOk,
        EFFECTS_COME_ONCE,
        &[
            &[Takes(0), Begins(0), Writes(0), ReturnsOk(0)],
            &[Writes(0), Does(0, Deed::RunsDdl), ReturnsError(0)],
            &[Begins(0), Writes(0), ReturnsOk(0)],
            &[MovesCursor(0), Commits(0)],
        ],
    );
}

#[test]
fn without_the_touch() {
    control(
        "no touch",
        Page {
            processes: 2,
            expiries: 1,
            ..TWO
        },
        |it| it.touch = false,
        ONE_AT_A_TIME,
        &[
            &[Takes(0), Begins(0)],
            &[LeaseExpires],
            &[Takes(1), Begins(1)],
        ],
    );
}

#[test]
fn with_the_cursor_first() {
    control(
        "cursor first",
        TWO,
        |it| it.cursor_last = false,
        NOTHING_IS_SKIPPED,
        &[&[Takes(0), Begins(0)], &[Writes(0), Does(0, Deed::RunsDdl)]],
    );
}

/// The handler runs COMMIT, BEGIN, and a statement that fails.
#[test]
fn where_any_abort_is_that_of_the_page() {
    control(
        "aborts are not told apart",
        Page {
            server: Server::Postgres,
            most_deeds: 2,
            ..TWO
        },
        |it| it.tells_whose_abort = false,
        EFFECTS_COME_ONCE,
        &[
            &[Takes(0), Begins(0), Writes(0), ReturnsOk(0)],
            &[Writes(0), Does(0, Deed::CommitsAndBegins)],
            &[Does(0, Deed::FailsStatement), ReturnsOk(0)],
            &[AsksWhetherIntact(0)],
            &[Begins(0), Writes(0), ReturnsOk(0)],
            &[MovesCursor(0), Commits(0)],
        ],
    );
}
