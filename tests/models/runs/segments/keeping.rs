//! Controls: how a process keeps a segment, and how long it counts on the lease.

use persisting_message_bus_models::check::control;
use persisting_message_bus_models::progress::gets_stuck;
use persisting_message_bus_models::segments::handling::Step::*;
use persisting_message_bus_models::segments::handling::*;

use super::{EXTERNAL, TRANSACTIONAL, with_two_segments};

/// The process takes a segment from its own thread, and forgets the position that is not stored.
#[test]
fn where_a_process_takes_its_own_segment() {
    control(
        "own segments are free",
        EXTERNAL,
        |it| it.own_is_not_free = false,
        NOTHING_REPEATS_WITHOUT_A_FAULT,
        &[&[
            Takes(0, 0),
            Begins(0, 0),
            Takes(0, 0),
            Ends(0, 0),
            Begins(0, 0),
        ]],
    );
}

/// The only thread is in a handler that does not return, and the process keeps a segment that it
/// cannot work on.
#[test]
fn where_a_process_holds_more_segments_than_threads() {
    gets_stuck(
        "more segments than threads",
        Handling {
            threads: [1, 1, 0],
            never_ends: Some(1),
            ..with_two_segments(EXTERNAL)
        },
        |it| it.one_for_each_thread = false,
        &[&[Takes(0, 0), Takes(0, 1), Begins(0, 0)]],
    );
}

/// The renewal of the second segment waits for the transaction of the first.
#[test]
fn where_renewals_wait_for_transactions() {
    control(
        "renewals wait for locked rows",
        with_two_segments(TRANSACTIONAL),
        |it| it.renewal_skips_locked = false,
        LIVING_KEEP_LEASES,
        &[
            &[Takes(0, 0), Begins(0, 0), Takes(0, 1)],
            &[TimePasses, TimePasses],
        ],
    );
}

/// The handler takes longer than the lease that the beginning of the transaction has written.
#[test]
fn where_only_the_begin_of_a_transaction_extends_the_lease() {
    control(
        "COMMIT does not extend the lease",
        TRANSACTIONAL,
        |it| it.commit_extends_lease = false,
        LIVING_KEEP_LEASES,
        &[
            &[Takes(0, 0), Begins(0, 0)],
            &[TimePasses, TimePasses],
            &[Commits(0, 0)],
        ],
    );
}

/// The process drops the segment, although its transaction has the row locked.
#[test]
fn where_a_segment_is_dropped_during_its_transaction() {
    control(
        "drops a segment with an open transaction",
        TRANSACTIONAL,
        |it| it.open_transaction_keeps_segment = false,
        LIVING_KEEP_LEASES,
        &[
            &[Takes(0, 0), Begins(0, 0)],
            &[TimePasses, TimePasses],
            &[Drops(0, 0), Commits(0, 0)],
        ],
    );
}

/// The take is answered when the lease has expired and another process has the segment.
#[test]
fn where_a_take_counts_from_its_answer() {
    control(
        "takes count from the answer",
        Handling {
            delays: 1,
            ..EXTERNAL
        },
        |it| it.takes_count_from_sending = false,
        ONLY_THE_HOLDER_BEGINS,
        &[
            &[TakesSlowly(0, 0)],
            &[TimePasses, TimePasses],
            &[TakeIsAnswered(0, 0)],
            &[Takes(1, 0)],
            &[Begins(0, 0)],
        ],
    );
}

/// The renewal is answered when the lease has expired and another process has the segment.
#[test]
fn where_a_renewal_counts_from_its_answer() {
    control(
        "renewals count from the answer",
        Handling {
            delays: 1,
            ..EXTERNAL
        },
        |it| it.renewals_count_from_sending = false,
        ONLY_THE_HOLDER_BEGINS,
        &[
            &[Takes(0, 0), RenewsSlowly(0)],
            &[TimePasses, TimePasses],
            &[RenewalIsAnswered(0)],
            &[Takes(1, 0)],
            &[Begins(0, 0)],
        ],
    );
}
