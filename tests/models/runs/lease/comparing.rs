//! Controls: the owner, the epoch, and the cursor with the effects.

use persisting_message_bus_models::lease::Step::*;
use persisting_message_bus_models::lease::*;

use super::{ALL, EXTERNAL, TRANSACTIONAL, control};

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

/// A process sends a statement that takes the lease, and loses the connection. It takes the lease
/// on another connection. After another process has taken it over, the late statement arrives: the
/// first process is the owner again.
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

/// The cursor that a process sent on a lost connection arrives late, after the reset.
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

/// A crash undoes the taking of the lease, so two owners have the same epoch.
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

#[test]
fn with_a_lease_that_outlives_a_lost_commit() {
    let leases = Leases {
        lease_outlives_connection: true,
        failures: 1,
        ..TRANSACTIONAL
    };
    let mechanisms = Mechanisms {
        lost_commit_ends_lease: false,
        ..ALL
    };
    let expected = [
        Looks(0),
        Takes(0),
        Begins(0),
        Handles(0),
        HandlerFails(0),
        Begins(0),
        Handles(0),
        StoresCursor(0),
        LosesConnection(0),
        LateArrives(0),
        Begins(0),
        Handles(0),
        StoresCursor(0),
        Commits(0),
    ];
    control(
        "lease outlives a lost COMMIT",
        leases,
        mechanisms,
        EFFECTS_COME_ONCE,
        &expected,
    );
}
