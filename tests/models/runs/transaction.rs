//! What handlers do to their transaction: nothing is skipped, nothing comes twice, nobody is blamed for
//! another's deed, and all ends.

use persisting_message_bus_models::check::{all_are_wanted, finds, holds, holds_but_for};
use persisting_message_bus_models::transaction::Step::*;
use persisting_message_bus_models::transaction::*;

/// A page of three messages. Their handlers do two things to their transaction, and fail once.
const THREE: Page = Page {
    server: Server::Mysql,
    messages: 3,
    page_size: 3,
    hook: false,
    processes: 1,
    deeds: Deed::ALL,
    most_deeds: 2,
    errors: 1,
    poison: None,
    deaths: 0,
    expiries: 0,
    losses: 0,
    attempts: 2,
    give_up: GiveUp::Park,
    mechanisms: Mechanisms::ALL,
};

/// A page of two messages. A handler does something to its transaction.
const TWO: Page = Page {
    messages: 2,
    page_size: 2,
    most_deeds: 1,
    errors: 0,
    ..THREE
};

const SERVERS: [Server; 3] = [Server::Postgres, Server::Mysql, Server::Sqlite];

#[test]
fn one_process() {
    for server in SERVERS {
        let three = Page { server, ..THREE };
        holds(&format!("{server:?}, 3 messages, 2 deeds"), three);
        let bounds = format!("{server:?}, pages of 1, 3 deeds, stop");
        let (page_size, give_up) = (1, GiveUp::Stop);
        let pages = Page {
            page_size,
            give_up,
            most_deeds: 3,
            ..three
        };
        holds(&bounds, pages);
        let bounds = format!("{server:?}, 3 messages, a deed, a lost COMMIT");
        let (losses, most_deeds) = (1, 1);
        holds(
            &bounds,
            Page {
                losses,
                most_deeds,
                ..three
            },
        );
    }
}

#[test]
fn more_deeds_than_attempts() {
    for server in SERVERS {
        let bounds = format!("{server:?}, 2 messages, 4 deeds");
        holds(
            &bounds,
            Page {
                server,
                most_deeds: 4,
                ..TWO
            },
        );
    }
}

#[test]
fn a_hook() {
    for server in SERVERS {
        let hook = Page {
            server,
            hook: true,
            messages: 1,
            deaths: 1,
            ..THREE
        };
        let bounds = format!("{server:?}, hook, 1 message, 2 deeds, a death");
        holds_but_for(&bounds, hook, EFFECTS_COME_ONCE);
    }
}

#[test]
fn effects_that_cannot_be_committed() {
    for server in [Server::Postgres, Server::Sqlite] {
        for poison in 1..=3 {
            let bounds = format!("{server:?}, 3 messages, COMMIT fails with message {poison}");
            let poison = Some(poison);
            let page = Page {
                server,
                poison,
                most_deeds: 0,
                ..THREE
            };
            holds(&bounds, page);
        }
    }
}

/// What a process has done outside of the transaction is final, and nobody knows, if it dies just
/// then: see [`what_remains`].
#[test]
fn processes_that_die() {
    for server in SERVERS {
        let page = Page {
            server,
            deaths: 1,
            ..THREE
        };
        let bounds = format!("{server:?}, 3 messages, 2 deeds, a death");
        holds_but_for(&bounds, page, EFFECTS_COME_ONCE);
        let bounds = format!("{server:?}, 2 messages, a deed, 2 deaths");
        let page = Page {
            server,
            deaths: 2,
            ..TWO
        };
        holds_but_for(&bounds, page, EFFECTS_COME_ONCE);
    }
}

/// Without rollbacks, nothing is final that the mark does not tell of: whatever comes twice is announced.
#[test]
fn processes_that_die_after_early_commits() {
    const DEEDS: &[Deed] = &[Deed::RunsDdl, Deed::Commits, Deed::CommitsAndBegins];
    for server in SERVERS {
        let page = Page {
            server,
            deeds: DEEDS,
            deaths: 1,
            ..THREE
        };
        let bounds = format!("{server:?}, 3 messages, 2 early commits, a death");
        holds(&bounds, page);
    }
}

#[test]
fn two_processes() {
    for server in SERVERS {
        let page = Page {
            server,
            processes: 2,
            expiries: 1,
            deaths: 1,
            ..TWO
        };
        let bounds = format!("{server:?}, 2 processes, a deed, a lease expires, a death");
        holds_but_for(&bounds, page, EFFECTS_COME_ONCE);
    }
}

#[test]
fn larger_bounds() {
    if !all_are_wanted() {
        return;
    }
    for server in SERVERS {
        let page = Page {
            server,
            processes: 2,
            expiries: 1,
            deaths: 1,
            ..THREE
        };
        let bounds =
            format!("{server:?}, 2 processes, 3 messages, 2 deeds, a lease expires, a death");
        holds_but_for(&bounds, page, EFFECTS_COME_ONCE);
    }
}

/// A handler whose transaction is rolled back, whose next statement is committed by itself, and whose
/// process dies before that can be noted.
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

/// Checks a control.
fn control(lacks: &str, page: Page, mechanisms: Mechanisms, law: &'static str, expected: &[Step]) {
    let page = Page { mechanisms, ..page };
    finds(&format!("control, {lacks}"), page, law, expected);
}

const ALL: Mechanisms = Mechanisms::ALL;

/// The page is lost in silence, as soon as another one follows under the same lease.
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
        "COMMIT is believed, as it was",
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

/// No attempt is counted: the consumer tries for ever.
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
        "an abort is nobody's",
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
        NOBODY_IS_BLAMED_FOR_ANOTHER,
        &expected,
    );
}

/// Innocent messages are handled outside of any transaction, and come again.
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
fn where_nobody_asks_after_an_error() {
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

/// An early commit is taken for a rollback.
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

/// The mark of a dead process is taken for one's own: a rollback is taken for an early commit.
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

#[test]
fn with_a_mark_that_nobody_looks_at() {
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

/// COMMIT, BEGIN, and a statement that fails.
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
        "whose abort it is, is not told",
        page,
        mechanisms,
        EFFECTS_COME_ONCE,
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

/// While the page is made again, a message before the guilty one fails, so that the guilty one is forgotten.
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
        NOBODY_IS_BLAMED_FOR_ANOTHER,
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
