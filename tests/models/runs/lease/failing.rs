//! Controls for messages that fail and are redriven.

use persisting_message_bus_models::check::control;
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
const BEGINS_REDRIVEN: &[Step] = &[Looks(0), Takes(0), ReadsRedriven(0), BeginsRedriven(0)];

const HANDLES_REDRIVEN: &[Step] = &[HandlesRedriven(0), TakesRedriven(0), CommitsRedriven(0)];

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
            &[Looks(0), Takes(0)],
            &[HandlerFails(0), RecordsFailure(0), GivesUp(0)],
            &[OperatorRedrives],
            &[Looks(0), Takes(0), ReadsRedriven(0)],
            &[HandlesRedriven(0), Renews(0)],
            &[LeaseExpires, ResetTakesLease, ResetMovesCursor],
            &[Looks(1), Takes(1)],
            &[HandlerFails(1), RecordsFailure(1), GivesUp(1)],
            &[OperatorRedrives],
            &[TakesRedriven(0)],
        ],
    );
}

#[test]
fn where_a_redriven_message_is_taken_after_its_effects() {
    control(
        "redriven message taken after its effects",
        Leases {
            redrives: 1,
            ..parks(TRANSACTIONAL)
        },
        |it| it.taken_with_effects = false,
        EFFECTS_COME_ONCE,
        &[
            FAILS,
            &[GivesUp(0), OperatorRedrives],
            BEGINS_REDRIVEN,
            &[HandlesRedriven(0), CommitsRedriven(0)],
            &[LosesConnection(0)],
            BEGINS_REDRIVEN,
            &[HandlesRedriven(0), CommitsRedriven(0)],
        ],
    );
}

#[test]
fn where_polls_read_only_new_messages() {
    control(
        "polls read only new messages",
        Leases {
            redrives: 1,
            ..parks(TRANSACTIONAL)
        },
        |it| it.poll_reads_redriven = false,
        REDRIVEN_IS_NOT_FORGOTTEN,
        &[FAILS, &[GivesUp(0), OperatorRedrives]],
    );
}
