//! Controls: resets.

use persisting_message_bus_models::check::control;
use persisting_message_bus_models::segments::handling::Step::*;
use persisting_message_bus_models::segments::handling::*;

use super::{EXTERNAL, holds};

/// Two messages, and a process that is suspended longer than a lease.
const RESETS: Handling = Handling {
    messages: 2,
    published: 2,
    resets: 1,
    suspensions: 1,
    ..EXTERNAL
};

/// The holder's lease has expired, so the reset is not refused. Then the holder stores its cursor.
#[test]
fn where_a_reset_keeps_owner_and_epoch() {
    control(
        "a reset keeps owner and epoch",
        RESETS,
        |it| {
            it.reset_removes_owner = false;
            it.reset_begins_epoch = false;
        },
        NOTHING_IS_SKIPPED,
        &[
            &[Takes(0, 0), Begins(0, 0), Ends(0, 0)],
            &[IsSuspended(0), TimePasses, TimePasses, Resumes(0)],
            &[OperatorResets],
            &[Stores(0, 0)],
        ],
    );
}

/// The release after a commit moves the cursor to where it was before the reset.
#[test]
fn where_a_reset_keeps_owner_and_epoch_of_a_transaction() {
    control(
        "a reset keeps owner and epoch, transactional",
        Handling {
            handler: Handler::Transactional,
            hands_out_apart: true,
            ..RESETS
        },
        |it| {
            it.reset_removes_owner = false;
            it.reset_begins_epoch = false;
        },
        NOTHING_IS_SKIPPED,
        &[
            &[Takes(0, 0), HandsOut(0, 0), Begins(0, 0), Commits(0, 0)],
            &[IsSuspended(0), TimePasses, TimePasses, Resumes(0)],
            &[OperatorResets],
            &[Releases(0, 0)],
        ],
    );
}

/// Each of the two is enough, because writes compare both.
#[test]
fn where_a_reset_keeps_owner_or_epoch() {
    let mut owner = RESETS;
    owner.mechanisms.reset_removes_owner = false;
    holds("a reset keeps the owner", owner);
    let mut epoch = RESETS;
    epoch.mechanisms.reset_begins_epoch = false;
    holds("a reset keeps the epoch", epoch);
}
