//! Controls for messages that fail and are redriven, and the violation that remains in the complete
//! protocol.

use persisting_message_bus_models::check::finds;
use persisting_message_bus_models::lease::Step::*;
use persisting_message_bus_models::lease::*;

use super::{ALL, EXTERNAL, TRANSACTIONAL, control, parks};

/// In READ UNCOMMITTED, both processes see that a transaction has taken the note of a redriven
/// message. That transaction is on a lost connection, and is then rolled back.
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

/// The failure policy is applied to a message late, so the message is handled twice: once in its
/// turn, and once redriven.
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
