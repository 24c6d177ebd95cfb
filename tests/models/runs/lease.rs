//! The lease, the cursor, and what failed: nothing is skipped, effects come once, and what is redriven
//! is not forgotten.

use persisting_message_bus_models::check::{all_are_wanted, finds, holds};
use persisting_message_bus_models::lease::Step::*;
use persisting_message_bus_models::lease::*;

/// A page of two messages. A lease expires, and a connection is lost.
const TRANSACTIONAL: Leases = Leases {
    handler: Handler::Transactional,
    messages: 2,
    page_size: 2,
    may_fail_from: 1,
    failures: 0,
    attempts: 2,
    redrives: 0,
    resets: 0,
    expiries: 1,
    deaths: 0,
    losses: 1,
    crashes: 0,
    lists_uncommitted: false,
    lease_outlives_connection: false,
    mechanisms: Mechanisms::ALL,
};

const EXTERNAL: Leases = Leases {
    handler: Handler::External,
    ..TRANSACTIONAL
};

const KINDS: [Leases; 2] = [TRANSACTIONAL, EXTERNAL];

/// A message that fails is parked at once.
const fn parks(leases: Leases) -> Leases {
    Leases {
        messages: 1,
        failures: 1,
        attempts: 1,
        ..leases
    }
}

fn all_hold(bounds: &str, change: impl Fn(Leases) -> Leases) {
    for leases in KINDS {
        holds(&format!("{:?}, {bounds}", leases.handler), change(leases));
    }
}

#[test]
fn pages() {
    all_hold("2 messages", |leases| leases);
    all_hold("3 messages, pages of 2, a death", |leases| Leases {
        messages: 3,
        deaths: 1,
        ..leases
    });
}

#[test]
fn failures() {
    all_hold("2 messages, 2 failures, a death", |leases| Leases {
        failures: 2,
        deaths: 1,
        ..leases
    });
}

#[test]
fn redriving() {
    all_hold("a message, 3 failures, redriven twice", |leases| Leases {
        failures: 3,
        redrives: 2,
        ..parks(leases)
    });
}

#[test]
fn resets() {
    all_hold("2 messages, a reset, a death", |leases| Leases {
        resets: 1,
        deaths: 1,
        ..leases
    });
    all_hold("a message, 2 failures, redriven twice, a reset", |leases| {
        Leases {
            failures: 2,
            redrives: 2,
            resets: 1,
            losses: 0,
            ..parks(leases)
        }
    });
}

#[test]
fn a_server_that_forgets_commits() {
    all_hold("2 messages, a failure, a crash", |leases| Leases {
        failures: 1,
        attempts: 1,
        crashes: 1,
        losses: 0,
        ..leases
    });
    all_hold("a message, a failure, redriven, a crash", |leases| Leases {
        redrives: 1,
        crashes: 1,
        losses: 0,
        ..parks(leases)
    });
}

#[test]
fn leases_that_outlive_the_connection() {
    all_hold("outlives, 2 messages, a failure, a death", |leases| {
        Leases {
            lease_outlives_connection: true,
            failures: 1,
            deaths: 1,
            ..leases
        }
    });
    all_hold("outlives, 2 messages, a reset", |leases| Leases {
        lease_outlives_connection: true,
        resets: 1,
        ..leases
    });
    all_hold("outlives, 2 messages, a crash", |leases| Leases {
        lease_outlives_connection: true,
        crashes: 1,
        ..leases
    });
}

/// As long as no connection is lost in the middle of a redriven message: see [`what_remains`].
#[test]
fn lists_that_see_what_is_not_committed() {
    let leases = Leases {
        failures: 2,
        redrives: 1,
        lists_uncommitted: true,
        losses: 0,
        ..parks(TRANSACTIONAL)
    };
    holds("Transactional, redriven, READ UNCOMMITTED", leases);
}

#[test]
fn larger_bounds() {
    if !all_are_wanted() {
        return;
    }
    all_hold(
        "2 messages, 3 failures, redriven, a reset, a loss",
        |leases| Leases {
            failures: 3,
            redrives: 1,
            resets: 1,
            ..leases
        },
    );
    all_hold("3 messages, 2 failures, 2 losses, a death", |leases| {
        Leases {
            messages: 3,
            failures: 2,
            losses: 2,
            deaths: 1,
            ..leases
        }
    });
}

/// In READ UNCOMMITTED, both processes see that the note of a redriven message is taken, by a
/// transaction of a lost connection that is rolled back then.
#[test]
fn what_remains() {
    let leases = Leases {
        redrives: 1,
        lists_uncommitted: true,
        ..parks(TRANSACTIONAL)
    };
    let expected = [
        Looks(0),
        Takes(0),
        Begins(0),
        HandlerFails(0),
        RecordsFailure(0),
        GivesUp(0),
        OperatorRedrives,
        Looks(0),
        ListsRedriven(0),
        Looks(1),
        Takes(0),
        ReadsRedriven(0),
        BeginsRedriven(0),
        LosesConnection(0),
        Looks(0),
        ListsRedriven(0),
        ListsRedriven(1),
        LateIsLost(0),
    ];
    let bounds = "what remains, READ UNCOMMITTED and a loss";
    finds(bounds, leases, REDRIVEN_IS_NOT_FORGOTTEN, &expected);
}

/// Checks a control.
fn control(
    lacks: &str,
    leases: Leases,
    mechanisms: Mechanisms,
    law: &'static str,
    expected: &[Step],
) {
    let leases = Leases {
        mechanisms,
        ..leases
    };
    finds(&format!("control, {lacks}"), leases, law, expected);
}

const ALL: Mechanisms = Mechanisms::ALL;

#[test]
fn with_nothing_compared() {
    let leases = TRANSACTIONAL;
    let mechanisms = Mechanisms {
        owner_is_compared: false,
        epoch_is_compared: false,
        ..ALL
    };
    let expected = [
        Looks(0),
        Takes(0),
        LeaseExpires,
        Looks(1),
        Takes(1),
        Begins(0),
        Handles(0),
        Handles(0),
        StoresCursor(0),
        Commits(0),
        Begins(1),
        Handles(1),
        Handles(1),
        StoresCursor(1),
        Commits(1),
    ];
    control(
        "nothing is compared, transactional",
        leases,
        mechanisms,
        EFFECTS_COME_ONCE,
        &expected,
    );
}

#[test]
fn with_nothing_compared_and_a_reset() {
    let leases = Leases {
        resets: 1,
        ..EXTERNAL
    };
    let mechanisms = Mechanisms {
        owner_is_compared: false,
        epoch_is_compared: false,
        ..ALL
    };
    let expected = [
        Looks(0),
        Takes(0),
        Handles(0),
        Handles(0),
        LeaseExpires,
        ResetTakesLease,
        ResetMovesCursor,
        StoresCursor(0),
    ];
    control(
        "nothing is compared, external, a reset",
        leases,
        mechanisms,
        NOTHING_IS_SKIPPED,
        &expected,
    );
}

/// A statement of its own that takes the lease comes late, and revives the lease that it took before.
#[test]
fn with_the_owner_only() {
    let leases = TRANSACTIONAL;
    let mechanisms = Mechanisms {
        epoch_is_compared: false,
        ..ALL
    };
    let expected = [
        Looks(0),
        LosesConnection(0),
        Looks(0),
        Takes(0),
        LeaseExpires,
        Looks(1),
        Takes(1),
        Begins(1),
        Handles(1),
        Handles(1),
        StoresCursor(1),
        Commits(1),
        LateArrives(0),
        Begins(0),
        Handles(0),
        Handles(0),
        StoresCursor(0),
        Commits(0),
    ];
    control(
        "owner only, transactional",
        leases,
        mechanisms,
        EFFECTS_COME_ONCE,
        &expected,
    );
}

/// A cursor of its own comes late, after the reset.
#[test]
fn with_the_owner_only_and_a_reset() {
    let leases = Leases {
        resets: 1,
        ..EXTERNAL
    };
    let mechanisms = Mechanisms {
        epoch_is_compared: false,
        ..ALL
    };
    let expected = [
        Looks(0),
        Takes(0),
        Handles(0),
        Handles(0),
        LosesConnection(0),
        Looks(0),
        LeaseExpires,
        ResetTakesLease,
        ResetMovesCursor,
        Takes(0),
        LateArrives(0),
    ];
    control(
        "owner only, external, a reset",
        leases,
        mechanisms,
        NOTHING_IS_SKIPPED,
        &expected,
    );
}

/// The server forgets that the lease was taken: two owners have the same epoch.
#[test]
fn with_the_epoch_only() {
    let leases = Leases {
        lease_outlives_connection: true,
        crashes: 1,
        losses: 0,
        ..TRANSACTIONAL
    };
    let mechanisms = Mechanisms {
        owner_is_compared: false,
        ..ALL
    };
    let expected = [
        Looks(0),
        Takes(0),
        ServerCrashes,
        Looks(1),
        Takes(1),
        Begins(0),
        Handles(0),
        Handles(0),
        StoresCursor(0),
        Commits(0),
        Begins(1),
        Handles(1),
        Handles(1),
        StoresCursor(1),
        Commits(1),
    ];
    control(
        "epoch only, the server forgets",
        leases,
        mechanisms,
        EFFECTS_COME_ONCE,
        &expected,
    );
}

#[test]
fn with_the_cursor_before_the_transaction() {
    let leases = TRANSACTIONAL;
    let mechanisms = Mechanisms {
        cursor: Cursor::Before,
        ..ALL
    };
    let expected = [Looks(0), Takes(0), StoresCursor(0)];
    control(
        "cursor before the transaction",
        leases,
        mechanisms,
        NOTHING_IS_SKIPPED,
        &expected,
    );
}

#[test]
fn with_the_cursor_after_the_transaction() {
    let leases = TRANSACTIONAL;
    let mechanisms = Mechanisms {
        cursor: Cursor::After,
        ..ALL
    };
    let expected = [
        Looks(0),
        Takes(0),
        Begins(0),
        Handles(0),
        Handles(0),
        Commits(0),
        LosesConnection(0),
        Looks(0),
        Takes(0),
        Begins(0),
        Handles(0),
        Handles(0),
        Commits(0),
    ];
    control(
        "cursor after the transaction",
        leases,
        mechanisms,
        EFFECTS_COME_ONCE,
        &expected,
    );
}

/// A message is given up late, and handled twice: once in its turn, and once redriven.
#[test]
fn with_failures_without_the_lease() {
    let leases = Leases {
        redrives: 1,
        ..parks(TRANSACTIONAL)
    };
    let mechanisms = Mechanisms {
        failures_under_lease: false,
        ..ALL
    };
    let expected = [
        Looks(0),
        Takes(0),
        Begins(0),
        HandlerFails(0),
        RecordsFailure(0),
        LosesConnection(0),
        Looks(0),
        Takes(0),
        Begins(0),
        Handles(0),
        StoresCursor(0),
        Commits(0),
        LateArrives(0),
        OperatorRedrives,
        Looks(0),
        ListsRedriven(0),
        Takes(0),
        ReadsRedriven(0),
        BeginsRedriven(0),
        HandlesRedriven(0),
        CommitsRedriven(0),
    ];
    control(
        "failures without the lease",
        leases,
        mechanisms,
        EFFECTS_COME_ONCE,
        &expected,
    );
}

#[test]
fn with_the_cursor_before_the_note() {
    let leases = parks(TRANSACTIONAL);
    let mechanisms = Mechanisms {
        give_up: GiveUp::CursorFirst,
        ..ALL
    };
    let expected = [
        Looks(0),
        Takes(0),
        Begins(0),
        HandlerFails(0),
        RecordsFailure(0),
        GivesUp(0),
    ];
    control(
        "give up: cursor, then note",
        leases,
        mechanisms,
        NOTHING_IS_SKIPPED,
        &expected,
    );
}

#[test]
fn with_the_note_before_the_cursor() {
    let leases = Leases {
        redrives: 1,
        ..parks(TRANSACTIONAL)
    };
    let mechanisms = Mechanisms {
        give_up: GiveUp::NoteFirst,
        ..ALL
    };
    let expected = [
        Looks(0),
        Takes(0),
        Begins(0),
        HandlerFails(0),
        RecordsFailure(0),
        GivesUp(0),
        LosesConnection(0),
        Looks(0),
        Takes(0),
        Begins(0),
        Handles(0),
        StoresCursor(0),
        Commits(0),
        OperatorRedrives,
        Looks(0),
        ListsRedriven(0),
        Takes(0),
        ReadsRedriven(0),
        BeginsRedriven(0),
        HandlesRedriven(0),
        CommitsRedriven(0),
    ];
    control(
        "give up: note, then cursor",
        leases,
        mechanisms,
        EFFECTS_COME_ONCE,
        &expected,
    );
}

#[test]
fn where_a_redriven_message_is_taken_without_the_lease() {
    let leases = Leases {
        failures: 2,
        redrives: 2,
        resets: 1,
        losses: 0,
        ..parks(EXTERNAL)
    };
    let mechanisms = Mechanisms {
        taken_with_renewal: false,
        ..ALL
    };
    let expected = [
        Looks(0),
        Looks(1),
        Takes(0),
        HandlerFails(0),
        RecordsFailure(0),
        GivesUp(0),
        OperatorRedrives,
        Looks(0),
        ListsRedriven(0),
        Takes(0),
        ReadsRedriven(0),
        HandlesRedriven(0),
        Renews(0),
        LeaseExpires,
        ResetTakesLease,
        ResetMovesCursor,
        Takes(1),
        HandlerFails(1),
        RecordsFailure(1),
        GivesUp(1),
        OperatorRedrives,
        TakesRedriven(0),
    ];
    control(
        "redriven message taken without the lease",
        leases,
        mechanisms,
        NOTHING_IS_SKIPPED,
        &expected,
    );
}

#[test]
fn where_a_new_connection_remembers_the_count() {
    let leases = Leases {
        redrives: 1,
        crashes: 1,
        losses: 0,
        expiries: 0,
        ..parks(TRANSACTIONAL)
    };
    let mechanisms = Mechanisms {
        new_connection_forgets_count: false,
        ..ALL
    };
    let expected = [
        Looks(0),
        Takes(0),
        Begins(0),
        HandlerFails(0),
        RecordsFailure(0),
        GivesUp(0),
        OperatorRedrives,
        Looks(0),
        ListsRedriven(0),
        Takes(0),
        ReadsRedriven(0),
        BeginsRedriven(0),
        HandlesRedriven(0),
        DiskIsFlushed,
        CommitsRedriven(0),
        ReadsRedriven(0),
        Releases(0),
        Looks(0),
        ListsRedriven(0),
        Looks(1),
        ListsRedriven(1),
        ServerCrashes,
    ];
    control(
        "new connection remembers the count",
        leases,
        mechanisms,
        REDRIVEN_IS_NOT_FORGOTTEN,
        &expected,
    );
}

#[test]
fn where_redriving_is_not_counted() {
    let leases = Leases {
        redrives: 1,
        losses: 0,
        expiries: 0,
        ..parks(TRANSACTIONAL)
    };
    let mechanisms = Mechanisms {
        redrive_is_counted: false,
        ..ALL
    };
    let expected = [
        Looks(0),
        Takes(0),
        Begins(0),
        HandlerFails(0),
        RecordsFailure(0),
        GivesUp(0),
        OperatorRedrives,
    ];
    control(
        "redriving is not counted",
        leases,
        mechanisms,
        REDRIVEN_IS_NOT_FORGOTTEN,
        &expected,
    );
}

#[test]
fn where_the_count_is_read_after_the_list() {
    let leases = Leases {
        messages: 2,
        failures: 2,
        redrives: 2,
        losses: 0,
        expiries: 0,
        ..parks(TRANSACTIONAL)
    };
    let mechanisms = Mechanisms {
        count_is_read_first: false,
        ..ALL
    };
    let expected = [
        Looks(0),
        Takes(0),
        Begins(0),
        HandlerFails(0),
        RecordsFailure(0),
        GivesUp(0),
        OperatorRedrives,
        Looks(0),
        ListsRedriven(0),
        Takes(0),
        ReadsRedriven(0),
        BeginsRedriven(0),
        HandlerFails(0),
        ParksAgain(0),
        ReadsRedriven(0),
        Releases(0),
        Looks(0),
        ListsRedriven(0),
        Looks(1),
        ListsRedriven(1),
        OperatorRedrives,
        ReadsCount(0),
        ReadsCount(1),
    ];
    control(
        "count is read after the list",
        leases,
        mechanisms,
        REDRIVEN_IS_NOT_FORGOTTEN,
        &expected,
    );
}
