//! Controls: changes of the number of segments.

use persisting_message_bus_models::check::control;
use persisting_message_bus_models::progress::{continues, gets_stuck};
use persisting_message_bus_models::segments::handling::Step::*;
use persisting_message_bus_models::segments::handling::*;

use super::{EXTERNAL, TRANSACTIONAL, holds, with_two_segments};

/// Two segments become one. The last message is published at any time.
const RESIZES: Handling = Handling {
    published: 2,
    resizes: &[1],
    takes: 5,
    ..with_two_segments(EXTERNAL)
};

/// One segment becomes two. The last message is published at any time.
const BECOMES_TWO: Handling = Handling {
    published: 1,
    messages: 2,
    slots: [0, 1, 0, 0],
    segments: 1,
    resizes: &[2],
    ..RESIZES
};

/// The first process polls.
const POLLS: &[Step] = &[BeginsPoll(0), EndsPoll(0)];

/// The first process handles the message of the first segment.
const HANDLES_FIRST: &[Step] = &[Takes(0, 0), Begins(0, 0), Ends(0, 0), Releases(0, 0)];

/// The first process handles the message of the second segment.
const HANDLES_SECOND: &[Step] = &[Takes(0, 1), Begins(0, 1), Ends(0, 1), Releases(0, 1)];

/// A poll before the change hands out the last message, so a cursor passes `stop_at`. No segment is
/// at the position any more, and the others stop there.
#[test]
fn where_the_stop_is_not_raised() {
    gets_stuck(
        "stop_at is not raised",
        RESIZES,
        |it| it.stop_is_raised = false,
        &[
            &[OperatorReads, IsPublished],
            &[
                BeginsPoll(0),
                EndsPoll(0),
                Takes(0, 0),
                Begins(0, 0),
                Ends(0, 0),
                Begins(0, 0),
            ],
            &[OperatorSetsTarget],
        ],
    );
}

/// The last message is handled under the former segments, and again under the new one.
#[test]
fn where_later_cursors_are_replaced() {
    control(
        "cursors after stop_at are replaced",
        RESIZES,
        |it| it.replaces_at_equal_cursors = false,
        NOTHING_REPEATS_WITHOUT_A_FAULT,
        &[
            &[OperatorReads, IsPublished],
            &[
                BeginsPoll(0),
                EndsPoll(0),
                Takes(0, 0),
                Begins(0, 0),
                Ends(0, 0),
                Begins(0, 0),
                Ends(0, 0),
                Releases(0, 0),
            ],
            HANDLES_SECOND,
            &[BeginsPoll(0), OperatorSetsTarget, Replaces(0), EndsPoll(0)],
            &[Takes(0, 0), Begins(0, 0)],
        ],
    );
}

/// If the header is read first, a cursor can pass `stop_at`. Then `stop_at` is raised.
#[test]
fn where_the_header_is_read_before_the_head() {
    let mut resizes = RESIZES;
    resizes.mechanisms.head_before_header = false;
    holds("header before head", resizes);
    continues("header before head", &resizes);
}

/// A process with an earlier poll takes a segment, and its row is removed while the handler runs.
#[test]
fn where_a_segment_is_taken_between_check_and_replacing() {
    control(
        "checked before the replacing transaction, takes at stop_at",
        RESIZES,
        |it| {
            it.replacing_checks_again = false;
            it.take_respects_stop = false;
        },
        NOTHING_REPEATS_WITHOUT_A_FAULT,
        &[
            POLLS,
            HANDLES_FIRST,
            HANDLES_SECOND,
            &[OperatorReads, IsPublished],
            POLLS,
            &[BeginsPoll(1)],
            &[OperatorSetsTarget],
            &[PreparesReplacing],
            &[Takes(0, 0), Begins(0, 0), Replaces(0)],
            &[EndsPoll(1), Takes(1, 0), Begins(1, 0)],
        ],
    );
}

/// Each of the two is enough.
#[test]
fn where_rows_are_checked_once() {
    let mut checks = RESIZES;
    checks.mechanisms.take_respects_stop = false;
    holds("takes at stop_at", checks);
    let mut refuses = RESIZES;
    refuses.mechanisms.replacing_checks_again = false;
    holds("checked before the replacing transaction", refuses);
}

/// The row has the number of a former segment, but more slots. The process handles the messages of
/// the former slots, and moves the cursor past the others.
#[test]
fn where_a_take_does_not_compare_the_slots() {
    control(
        "a take does not compare the slots, 2 segments become 1",
        Handling {
            slots: [0, 1, 1, 0],
            ..RESIZES
        },
        |it| it.take_compares_slots = false,
        NOTHING_IS_SKIPPED,
        &[
            POLLS,
            HANDLES_FIRST,
            HANDLES_SECOND,
            &[OperatorReads, IsPublished],
            POLLS,
            &[OperatorSetsTarget],
            &[Replaces(0), Takes(0, 0), Releases(0, 0)],
        ],
    );
}

/// The row has the number of a former segment, but fewer slots. So two processes handle the same
/// message under two segments.
#[test]
fn where_a_take_does_not_compare_the_slots_of_a_larger_segment() {
    control(
        "a take does not compare the slots, 1 segment becomes 2",
        BECOMES_TWO,
        |it| it.take_compares_slots = false,
        NOTHING_REPEATS_WITHOUT_A_FAULT,
        &[
            &[OperatorReads, IsPublished],
            &[
                BeginsPoll(0),
                EndsPoll(0),
                Takes(0, 0),
                Begins(0, 0),
                Ends(0, 0),
                Releases(0, 0),
            ],
            &[BeginsPoll(0), OperatorSetsTarget, Replaces(0)],
            &[Takes(0, 0), Begins(0, 0)],
            &[EndsPoll(0), Takes(0, 1), Begins(0, 1)],
        ],
    );
}

/// A thread of the process that replaces the rows is at work. The lease is its own, so it does not
/// see that the segment is not free.
#[test]
fn where_own_segments_are_replaced() {
    control(
        "own segments are free to the process that replaces them",
        RESIZES,
        |it| it.replacing_spares_own = false,
        NOTHING_REPEATS_WITHOUT_A_FAULT,
        &[
            POLLS,
            HANDLES_FIRST,
            HANDLES_SECOND,
            &[OperatorReads, IsPublished],
            &[BeginsPoll(0), EndsPoll(0), Takes(0, 0), Begins(0, 0)],
            &[BeginsPoll(1)],
            &[OperatorSetsTarget],
            &[Replaces(0)],
            &[EndsPoll(1), Takes(1, 0), Begins(1, 0)],
        ],
    );
}

/// The thread begins a message of a former segment that has the same number, owner and epoch.
#[test]
fn where_epochs_begin_again() {
    control(
        "epochs of new rows begin at zero",
        Handling {
            messages: 2,
            published: 1,
            resizes: &[2],
            hands_out_apart: true,
            suspensions: 1,
            ..TRANSACTIONAL
        },
        |it| it.new_rows_continue_epochs = false,
        EFFECTS_COME_ONCE,
        &[
            &[BeginsPoll(0), EndsPoll(0), Takes(0, 0), HandsOut(0, 0)],
            &[IsSuspended(0)],
            &[BeginsPoll(1), EndsPoll(1)],
            &[TimePasses, TimePasses, Resumes(0)],
            &[Drops(0, 0)],
            &[
                Takes(1, 0),
                HandsOut(1, 0),
                Begins(1, 0),
                Commits(1, 0),
                Releases(1, 0),
            ],
            &[OperatorReads, IsPublished],
            &[BeginsPoll(0)],
            &[OperatorSetsTarget],
            &[
                Replaces(0),
                EndsPoll(0),
                Takes(0, 0),
                Begins(0, 0),
                Commits(0, 0),
            ],
        ],
    );
}

/// Between the two transactions, messages belong to no segment.
#[test]
fn where_rows_are_deleted_and_inserted_apart() {
    control(
        "rows are deleted and inserted apart",
        RESIZES,
        |it| it.replaces_at_once = false,
        THE_RING_IS_WHOLE,
        &[
            POLLS,
            HANDLES_FIRST,
            HANDLES_SECOND,
            &[OperatorReads, OperatorSetsTarget],
            &[PreparesReplacing],
        ],
    );
}
