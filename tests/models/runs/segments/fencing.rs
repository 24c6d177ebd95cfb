//! Controls: lost answers, late results, owner and epoch.

use persisting_message_bus_models::check::{control, finds};
use persisting_message_bus_models::segments::handling::Step::*;
use persisting_message_bus_models::segments::handling::*;

use super::{EXTERNAL, TRANSACTIONAL, holds};

const LOSES: Handling = Handling {
    losses: 1,
    ..EXTERNAL
};

/// A process that is suspended longer than a lease.
const IS_SUSPENDED: Handling = Handling {
    suspensions: 1,
    ..EXTERNAL
};

/// The process forgets a segment before the answer to its store, and takes it again from the former
/// cursor.
#[test]
fn where_a_lost_store_is_forgotten() {
    control(
        "a lost store is forgotten",
        LOSES,
        |it| it.lost_store_is_repeated = false,
        NOTHING_REPEATS_WITHOUT_A_FAULT,
        &[
            &[Takes(0, 0), Begins(0, 0), Ends(0, 0), LosesStore(0, 0)],
            &[TimePasses, TimePasses],
            &[Takes(0, 0), Begins(0, 0)],
        ],
    );
}

/// The process counts on a COMMIT that it knows nothing of.
#[test]
fn where_a_lost_commit_keeps_the_segment() {
    control(
        "a lost COMMIT keeps the segment",
        Handling {
            losses: 1,
            ..TRANSACTIONAL
        },
        |it| it.lost_commit_drops_segment = false,
        EFFECTS_COME_ONCE,
        &[&[
            Takes(0, 0),
            Begins(0, 0),
            LosesCommit(0, 0),
            LateArrives(0),
            Begins(0, 0),
            Commits(0, 0),
        ]],
    );
}

/// What remains: a store arrives after a later one of the same lease. The next store, at the latest
/// the release, moves the cursor to where it belongs.
#[test]
fn what_remains() {
    finds(
        "what remains, a store that arrives late",
        Handling {
            losses: 1,
            ..EXTERNAL
        },
        CURSORS_DO_NOT_GO_BACK,
        &[&[
            Takes(0, 0),
            Begins(0, 0),
            Ends(0, 0),
            Begins(0, 0),
            LosesStore(0, 0),
            Ends(0, 0),
            Stores(0, 0),
            Stores(0, 0),
            LateArrives(0),
        ]],
    );
}

/// The late store has moved the cursor back, and the release leaves it there.
#[test]
fn where_a_release_does_not_store_the_cursor() {
    control(
        "a release does not store the cursor again",
        LOSES,
        |it| it.release_stores_cursor = false,
        NOTHING_REPEATS_WITHOUT_A_FAULT,
        &[&[
            Takes(0, 0),
            Begins(0, 0),
            Ends(0, 0),
            Begins(0, 0),
            LosesStore(0, 0),
            Ends(0, 0),
            Stores(0, 0),
            Stores(0, 0),
            LateArrives(0),
            Releases(0, 0),
            Takes(0, 0),
            Begins(0, 0),
        ]],
    );
}

/// The release arrives when the same process has taken the segment again.
#[test]
fn with_the_owner_only() {
    control(
        "owner only, a late store",
        LOSES,
        |it| it.epoch_is_compared = false,
        NOTHING_REPEATS_WITHOUT_A_FAULT,
        &[
            &[
                Takes(0, 0),
                LosesRelease(0, 0),
                Releases(0, 0),
                Takes(0, 0),
                Begins(0, 0),
                LateArrives(0),
            ],
            &[Takes(1, 0), Begins(1, 0)],
        ],
    );
}

/// The thread begins with a message of an earlier lease of the same process.
#[test]
fn with_the_owner_only_and_a_late_thread() {
    control(
        "owner only, transactional, a late thread",
        Handling {
            hands_out_apart: true,
            suspensions: 1,
            ..TRANSACTIONAL
        },
        |it| it.epoch_is_compared = false,
        EFFECTS_COME_ONCE,
        &[
            &[Takes(0, 0), HandsOut(0, 0)],
            &[IsSuspended(0), TimePasses, TimePasses, Resumes(0)],
            &[
                Drops(0, 0),
                Takes(0, 0),
                Begins(0, 0),
                Commits(0, 0),
                HandsOut(0, 0),
                Begins(0, 0),
                Commits(0, 0),
            ],
        ],
    );
}

/// The process has released the segment, so the row has no owner, but still the same epoch.
#[test]
fn with_the_epoch_only() {
    control(
        "epoch only, a late store",
        LOSES,
        |it| it.owner_is_compared = false,
        NOTHING_REPEATS_WITHOUT_A_FAULT,
        &[&[
            Takes(0, 0),
            Begins(0, 0),
            Ends(0, 0),
            Begins(0, 0),
            LosesStore(0, 0),
            Ends(0, 0),
            Stores(0, 0),
            Releases(0, 0),
            LateArrives(0),
            Takes(0, 0),
            Begins(0, 0),
        ]],
    );
}

/// Without late statements, the epoch alone is enough while the server forgets no commit. The model
/// of leases has a server that forgets.
#[test]
fn with_the_epoch_only_and_no_late_store() {
    for handling in [IS_SUSPENDED, TRANSACTIONAL] {
        let mut handling = handling;
        handling.mechanisms.owner_is_compared = false;
        holds(&format!("epoch only, {:?}", handling.handler), handling);
    }
}

/// The result of an earlier lease moves the position back.
#[test]
fn where_late_results_count() {
    control(
        "results do not name the epoch",
        IS_SUSPENDED,
        |it| it.results_name_epoch = false,
        CURSORS_DO_NOT_GO_BACK,
        &[
            &[Takes(0, 0), Begins(0, 0)],
            &[IsSuspended(0), TimePasses, TimePasses, Resumes(0)],
            &[Drops(0, 0)],
            &[
                Takes(1, 0),
                Begins(1, 0),
                Ends(1, 0),
                Begins(1, 0),
                Ends(1, 0),
                Releases(1, 0),
            ],
            &[Takes(0, 0), Ends(0, 0), Releases(0, 0)],
        ],
    );
}

/// The same process takes the segment again, while its thread handles a message.
#[test]
fn where_a_segment_does_not_wait_for_its_late_thread() {
    control(
        "no wait for a late thread",
        IS_SUSPENDED,
        |it| it.waits_for_late_thread = false,
        ONE_AT_A_TIME,
        &[
            &[Takes(0, 0), Begins(0, 0)],
            &[IsSuspended(0), TimePasses, TimePasses, Resumes(0)],
            &[Drops(0, 0), Takes(0, 0), Begins(0, 0)],
        ],
    );
}
