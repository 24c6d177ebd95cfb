//! Controls: the owner, the epoch, and the cursor with the effects.

use persisting_message_bus_models::check::control;
use persisting_message_bus_models::lease::Step::*;
use persisting_message_bus_models::lease::*;

use super::{EXTERNAL, TRANSACTIONAL};

/// Returns the steps in which a process polls and takes the lease.
const fn takes(process: usize) -> [Step; 2] {
    [Looks(process), Takes(process)]
}

/// Returns the steps in which a transactional handler handles the page.
const fn handles_page(process: usize) -> [Step; 5] {
    [
        Begins(process),
        Handles(process),
        Handles(process),
        StoresCursor(process),
        Commits(process),
    ]
}

fn compare_nothing(mechanisms: &mut Mechanisms) {
    mechanisms.owner_is_compared = false;
    mechanisms.epoch_is_compared = false;
}

#[test]
fn with_nothing_compared() {
    control(
        "nothing is compared, transactional",
        TRANSACTIONAL,
        compare_nothing,
        EFFECTS_COME_ONCE,
        &[
            &takes(0),
            &[LeaseExpires],
            &takes(1),
            &handles_page(0),
            &handles_page(1),
        ],
    );
}

#[test]
fn with_nothing_compared_and_a_reset() {
    control(
        "nothing is compared, external, a reset",
        Leases {
            resets: 1,
            ..EXTERNAL
        },
        compare_nothing,
        NOTHING_IS_SKIPPED,
        &[
            &takes(0),
            &[Handles(0), Handles(0)],
            &[LeaseExpires, ResetTakesLease, ResetMovesCursor],
            &[StoresCursor(0)],
        ],
    );
}

/// A process sends a statement that takes the lease, and loses the connection. It takes the lease
/// on another connection. After another process has taken it over, the late statement arrives: the
/// first process is the owner again.
#[test]
fn with_the_owner_only() {
    control(
        "owner only, transactional",
        TRANSACTIONAL,
        |it| it.epoch_is_compared = false,
        EFFECTS_COME_ONCE,
        &[
            &[Looks(0), LosesConnection(0)],
            &takes(0),
            &[LeaseExpires],
            &takes(1),
            &handles_page(1),
            &[LateArrives(0)],
            &handles_page(0),
        ],
    );
}

/// The cursor that a process sent on a lost connection arrives late, after the reset.
#[test]
fn with_the_owner_only_and_a_reset() {
    control(
        "owner only, external, a reset",
        Leases {
            resets: 1,
            ..EXTERNAL
        },
        |it| it.epoch_is_compared = false,
        NOTHING_IS_SKIPPED,
        &[
            &takes(0),
            &[Handles(0), Handles(0), LosesConnection(0)],
            &[Looks(0)],
            &[LeaseExpires, ResetTakesLease, ResetMovesCursor],
            &[Takes(0), LateArrives(0)],
        ],
    );
}

/// A crash undoes the taking of the lease, so two owners have the same epoch.
#[test]
fn with_the_epoch_only() {
    control(
        "epoch only, the server forgets",
        Leases {
            lease_outlives_connection: true,
            crashes: 1,
            losses: 0,
            ..TRANSACTIONAL
        },
        |it| it.owner_is_compared = false,
        EFFECTS_COME_ONCE,
        &[
            &takes(0),
            &[ServerCrashes],
            &takes(1),
            &handles_page(0),
            &handles_page(1),
        ],
    );
}

#[test]
fn with_the_cursor_before_the_transaction() {
    control(
        "cursor before the transaction",
        TRANSACTIONAL,
        |it| it.cursor = Cursor::Before,
        NOTHING_IS_SKIPPED,
        &[&takes(0), &[StoresCursor(0)]],
    );
}

#[test]
fn with_the_cursor_after_the_transaction() {
    control(
        "cursor after the transaction",
        TRANSACTIONAL,
        |it| it.cursor = Cursor::After,
        EFFECTS_COME_ONCE,
        &[
            &takes(0),
            &[Begins(0), Handles(0), Handles(0), Commits(0)],
            &[LosesConnection(0)],
            &takes(0),
            &[Begins(0), Handles(0), Handles(0), Commits(0)],
        ],
    );
}

#[test]
fn with_a_lease_that_outlives_a_lost_commit() {
    control(
        "lease outlives a lost COMMIT",
        Leases {
            lease_outlives_connection: true,
            failures: 1,
            ..TRANSACTIONAL
        },
        |it| it.lost_commit_ends_lease = false,
        EFFECTS_COME_ONCE,
        &[
            &takes(0),
            &[Begins(0), Handles(0), HandlerFails(0)],
            &[Begins(0), Handles(0), StoresCursor(0)],
            &[LosesConnection(0), LateArrives(0)],
            &[Begins(0), Handles(0), StoresCursor(0), Commits(0)],
        ],
    );
}
