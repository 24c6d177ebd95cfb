//! Controls for messages that fail and are redriven, and the violation that remains in the complete
//! protocol.

use persisting_message_bus_models::check::{control, finds};
use persisting_message_bus_models::lease::Step::*;
use persisting_message_bus_models::lease::*;

use super::{EXTERNAL, TRANSACTIONAL, parks};

/// The only message fails in a transactional handler, for the last time.
const FAILS: &[Step] = &[
    Looks(0),
    Takes(0),
    Begins(0),
    HandlerFails(0),
    RecordsFailure(0),
];

/// The message is attempted again, and handled.
const IS_HANDLED: &[Step] = &[
    Looks(0),
    Takes(0),
    Begins(0),
    Handles(0),
    StoresCursor(0),
    Commits(0),
];

/// The process begins to handle the redriven message.
const BEGINS_REDRIVEN: &[Step] = &[
    Looks(0),
    ListsRedriven(0),
    Takes(0),
    ReadsRedriven(0),
    BeginsRedriven(0),
];

const HANDLES_REDRIVEN: &[Step] = &[HandlesRedriven(0), CommitsRedriven(0)];

/// In READ UNCOMMITTED, both processes see that a transaction has taken the note of a redriven
/// message. That transaction is on a lost connection, and is then rolled back.
#[test]
fn what_remains() {
    finds(
        "what remains, READ UNCOMMITTED and a loss",
        Leases {
            redrives: 1,
            lists_uncommitted: true,
            ..parks(TRANSACTIONAL)
        },
        REDRIVEN_IS_NOT_FORGOTTEN,
        &[
            FAILS,
            &[GivesUp(0), OperatorRedrives],
            &[Looks(0), ListsRedriven(0)],
            &[Looks(1)],
            &[Takes(0), ReadsRedriven(0), BeginsRedriven(0)],
            &[LosesConnection(0), Looks(0), ListsRedriven(0)],
            &[ListsRedriven(1)],
            &[LateIsLost(0)],
        ],
    );
}

/// The failure policy is applied to a message late, so the message is handled twice: once in its
/// turn, and once redriven.
#[test]
fn with_failures_without_the_lease() {
    control(
        "failures without the lease",
        Leases {
            redrives: 1,
            ..parks(TRANSACTIONAL)
        },
        |it| it.failures_under_lease = false,
        EFFECTS_COME_ONCE,
        &[
            FAILS,
            &[LosesConnection(0)],
            IS_HANDLED,
            &[LateArrives(0), OperatorRedrives],
            BEGINS_REDRIVEN,
            HANDLES_REDRIVEN,
        ],
    );
}

#[test]
fn with_the_cursor_before_the_note() {
    control(
        "give up: cursor, then note",
        parks(TRANSACTIONAL),
        |it| it.give_up = GiveUp::CursorFirst,
        NOTHING_IS_SKIPPED,
        &[FAILS, &[GivesUp(0)]],
    );
}

#[test]
fn with_the_note_before_the_cursor() {
    control(
        "give up: note, then cursor",
        Leases {
            redrives: 1,
            ..parks(TRANSACTIONAL)
        },
        |it| it.give_up = GiveUp::NoteFirst,
        EFFECTS_COME_ONCE,
        &[
            FAILS,
            &[GivesUp(0), LosesConnection(0)],
            IS_HANDLED,
            &[OperatorRedrives],
            BEGINS_REDRIVEN,
            HANDLES_REDRIVEN,
        ],
    );
}

#[test]
fn where_a_redriven_message_is_taken_without_the_lease() {
    control(
        "redriven message taken without the lease",
        Leases {
            failures: 2,
            redrives: 2,
            resets: 1,
            losses: 0,
            ..parks(EXTERNAL)
        },
        |it| it.taken_with_renewal = false,
        NOTHING_IS_SKIPPED,
        &[
            &[Looks(0)],
            &[Looks(1)],
            &[Takes(0), HandlerFails(0), RecordsFailure(0), GivesUp(0)],
            &[OperatorRedrives],
            &[Looks(0), ListsRedriven(0), Takes(0), ReadsRedriven(0)],
            &[HandlesRedriven(0), Renews(0)],
            &[LeaseExpires, ResetTakesLease, ResetMovesCursor],
            &[Takes(1), HandlerFails(1), RecordsFailure(1), GivesUp(1)],
            &[OperatorRedrives],
            &[TakesRedriven(0)],
        ],
    );
}

#[test]
fn where_a_new_connection_remembers_the_count() {
    control(
        "new connection remembers the count",
        Leases {
            redrives: 1,
            crashes: 1,
            losses: 0,
            expiries: 0,
            ..parks(TRANSACTIONAL)
        },
        |it| it.new_connection_forgets_count = false,
        REDRIVEN_IS_NOT_FORGOTTEN,
        &[
            FAILS,
            &[GivesUp(0), OperatorRedrives],
            BEGINS_REDRIVEN,
            &[HandlesRedriven(0), DiskIsFlushed, CommitsRedriven(0)],
            &[ReadsRedriven(0), Releases(0), Looks(0), ListsRedriven(0)],
            &[Looks(1), ListsRedriven(1)],
            &[ServerCrashes],
        ],
    );
}

#[test]
fn where_redriving_is_not_counted() {
    control(
        "redriving is not counted",
        Leases {
            redrives: 1,
            losses: 0,
            expiries: 0,
            ..parks(TRANSACTIONAL)
        },
        |it| it.redrive_is_counted = false,
        REDRIVEN_IS_NOT_FORGOTTEN,
        &[FAILS, &[GivesUp(0), OperatorRedrives]],
    );
}

#[test]
fn where_the_count_is_read_after_the_list() {
    control(
        "count is read after the list",
        Leases {
            messages: 2,
            failures: 2,
            redrives: 2,
            losses: 0,
            expiries: 0,
            ..parks(TRANSACTIONAL)
        },
        |it| it.count_is_read_first = false,
        REDRIVEN_IS_NOT_FORGOTTEN,
        &[
            FAILS,
            &[GivesUp(0), OperatorRedrives],
            BEGINS_REDRIVEN,
            &[HandlerFails(0), ParksAgain(0)],
            &[ReadsRedriven(0), Releases(0), Looks(0), ListsRedriven(0)],
            &[Looks(1), ListsRedriven(1)],
            &[OperatorRedrives],
            &[ReadsCount(0)],
            &[ReadsCount(1)],
        ],
    );
}
