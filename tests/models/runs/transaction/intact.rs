//! Controls: when the library asks about the transaction, and in which transaction it stores the
//! cursor.

use persisting_message_bus_models::transaction::Step::*;
use persisting_message_bus_models::transaction::*;

use super::{ALL, TWO, control};

/// The page is lost without an error, as soon as another page follows under the same lease.
#[test]
fn where_commit_is_believed() {
    let page = Page {
        server: Server::Postgres,
        page_size: 1,
        ..TWO
    };
    let mechanisms = Mechanisms {
        asks: Asks::Never,
        cursor_last: false,
        touch: false,
        ..ALL
    };
    let expected = [
        Takes(0),
        Begins(0),
        Writes(0),
        Does(0, Deed::FailsStatement),
        ReturnsOk(0),
        Commits(0),
        Begins(0),
        Writes(0),
        ReturnsOk(0),
        Commits(0),
    ];
    control(
        "COMMIT is believed",
        page,
        mechanisms,
        NOTHING_IS_SKIPPED,
        &expected,
    );
}

#[test]
fn with_the_cursor_outside_of_the_transaction() {
    let page = TWO;
    let mechanisms = Mechanisms {
        asks: Asks::Never,
        cursor_in_transaction: false,
        ..ALL
    };
    let expected = [
        Takes(0),
        Begins(0),
        Writes(0),
        Does(0, Deed::RollsBack),
        ReturnsOk(0),
        Writes(0),
        ReturnsOk(0),
        MovesCursor(0),
    ];
    control(
        "cursor outside of the transaction",
        page,
        mechanisms,
        NOTHING_IS_SKIPPED,
        &expected,
    );
}

/// No attempt is counted, so the consumer retries without end.
#[test]
fn where_an_aborted_transaction_is_no_failure() {
    let page = Page {
        server: Server::Postgres,
        most_deeds: 3,
        ..TWO
    };
    let mechanisms = Mechanisms {
        asks: Asks::Never,
        cursor_in_transaction: false,
        ..ALL
    };
    let expected = [
        Takes(0),
        Begins(0),
        Writes(0),
        Does(0, Deed::FailsStatement),
        ReturnsOk(0),
        Writes(0),
        ReturnsOk(0),
        MovesCursor(0),
        Takes(0),
        Begins(0),
        Writes(0),
        Does(0, Deed::FailsStatement),
        ReturnsOk(0),
        Writes(0),
        ReturnsOk(0),
        MovesCursor(0),
        Takes(0),
        Begins(0),
        Writes(0),
        Does(0, Deed::FailsStatement),
        ReturnsOk(0),
    ];
    control(
        "an abort is no failure",
        page,
        mechanisms,
        ATTEMPTS_ARE_BOUNDED,
        &expected,
    );
}

#[test]
fn where_the_last_message_is_blamed() {
    let page = TWO;
    let mechanisms = Mechanisms {
        asks: Asks::AfterLast,
        ..ALL
    };
    let expected = [
        Takes(0),
        Begins(0),
        Writes(0),
        Does(0, Deed::RunsDdl),
        ReturnsOk(0),
        Writes(0),
        ReturnsOk(0),
        AsksWhetherIntact(0),
        LooksForMark(0),
        GivesUp(0),
    ];
    control(
        "asks after the last message",
        page,
        mechanisms,
        ONLY_THE_GUILTY_IS_BLAMED,
        &expected,
    );
}

/// Innocent messages are handled outside of any transaction, so their effects are repeated.
#[test]
fn where_later_messages_run_outside() {
    let page = Page {
        messages: 3,
        page_size: 3,
        ..TWO
    };
    let mechanisms = Mechanisms {
        asks: Asks::AfterLast,
        ..ALL
    };
    let expected = [
        Takes(0),
        Begins(0),
        Writes(0),
        Does(0, Deed::RollsBack),
        ReturnsOk(0),
        Writes(0),
        ReturnsOk(0),
        Writes(0),
        ReturnsOk(0),
        AsksWhetherIntact(0),
        LooksForMark(0),
        Begins(0),
        Writes(0),
        ReturnsOk(0),
        Writes(0),
        ReturnsOk(0),
        AsksWhetherIntact(0),
        MovesCursor(0),
        Commits(0),
    ];
    control(
        "asks after the last message",
        page,
        mechanisms,
        EFFECTS_COME_ONCE,
        &expected,
    );
}

#[test]
fn where_no_check_follows_an_error() {
    let page = Page { errors: 1, ..TWO };
    let mechanisms = Mechanisms {
        asks: Asks::AfterOk,
        ..ALL
    };
    let expected = [
        Takes(0),
        Begins(0),
        Writes(0),
        ReturnsOk(0),
        Writes(0),
        Does(0, Deed::RunsDdl),
        ReturnsError(0),
        Begins(0),
        Writes(0),
        ReturnsOk(0),
        MovesCursor(0),
        Commits(0),
    ];
    control(
        "asks after Ok only",
        page,
        mechanisms,
        EFFECTS_COME_ONCE,
        &expected,
    );
}

#[test]
fn without_the_touch() {
    let page = Page {
        processes: 2,
        expiries: 1,
        ..TWO
    };
    let mechanisms = Mechanisms {
        touch: false,
        ..ALL
    };
    let expected = [Takes(0), Begins(0), LeaseExpires, Takes(1), Begins(1)];
    control("no touch", page, mechanisms, ONE_AT_A_TIME, &expected);
}

#[test]
fn with_the_cursor_first() {
    let page = TWO;
    let mechanisms = Mechanisms {
        cursor_last: false,
        ..ALL
    };
    let expected = [Takes(0), Begins(0), Writes(0), Does(0, Deed::RunsDdl)];
    control(
        "cursor first",
        page,
        mechanisms,
        NOTHING_IS_SKIPPED,
        &expected,
    );
}

/// The handler runs COMMIT, BEGIN, and a statement that fails.
#[test]
fn where_any_abort_is_that_of_the_page() {
    let page = Page {
        server: Server::Postgres,
        most_deeds: 2,
        ..TWO
    };
    let mechanisms = Mechanisms {
        tells_whose_abort: false,
        ..ALL
    };
    let expected = [
        Takes(0),
        Begins(0),
        Writes(0),
        ReturnsOk(0),
        Writes(0),
        Does(0, Deed::CommitsAndBegins),
        Does(0, Deed::FailsStatement),
        ReturnsOk(0),
        AsksWhetherIntact(0),
        Begins(0),
        Writes(0),
        ReturnsOk(0),
        MovesCursor(0),
        Commits(0),
    ];
    control(
        "aborts are not told apart",
        page,
        mechanisms,
        EFFECTS_COME_ONCE,
        &expected,
    );
}
