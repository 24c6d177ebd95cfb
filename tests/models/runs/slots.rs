//! MySQL and MariaDB: no message is skipped.

use persisting_message_bus_models::check::{all_are_wanted, control, holds};
use persisting_message_bus_models::slots::Step::*;
use persisting_message_bus_models::slots::*;

/// Three publishers of one message each, and two slots.
const THREE: Slots = Slots {
    publishers: [Publisher::of(1, 1); 3],
    slots: 2,
    topic_is_new: false,
    readers: 1,
    reader_restarts: 0,
    reads_uncommitted: false,
    crashes: 0,
    mechanisms: Mechanisms::ALL,
};

/// Two publishers, and two processes of the consumer, one of which restarts.
const TWO_READERS: Slots = Slots {
    publishers: [Publisher::of(1, 1), Publisher::of(1, 1), Publisher::NONE],
    readers: 2,
    reader_restarts: 1,
    ..THREE
};

/// Publishers before and after a crash.
const CRASH: Slots = Slots {
    publishers: [
        Publisher::of(1, 2),
        Publisher::of(1, 1),
        Publisher::of(1, 1),
    ],
    crashes: 1,
    ..THREE
};

#[test]
fn publishers_in_any_order() {
    holds("3 publishers, 2 slots", THREE);
    holds("3 publishers, 3 slots", Slots { slots: 3, ..THREE });
}

#[test]
fn two_topics() {
    let publishers = [
        Publisher::of(2, 1),
        Publisher::of(1, 2),
        Publisher::of_other_topic(1, 1),
    ];
    let bounds = "3 publishers on 2 topics, 2 slots";
    holds(
        bounds,
        Slots {
            publishers,
            ..THREE
        },
    );
}

#[test]
fn two_readers() {
    let bounds = "2 publishers, 2 slots, 2 readers, a restart";
    holds(bounds, TWO_READERS);
}

#[test]
fn a_new_topic() {
    let topic_is_new = true;
    holds(
        "new topic, 3 publishers, 2 slots",
        Slots {
            topic_is_new,
            ..THREE
        },
    );
    holds(
        "new topic, 2 publishers, 2 slots, 2 readers, a restart",
        Slots {
            topic_is_new,
            ..TWO_READERS
        },
    );
}

#[test]
fn readers_that_see_what_is_not_committed() {
    holds(
        "3 publishers, 2 slots, READ UNCOMMITTED",
        Slots {
            reads_uncommitted: true,
            ..THREE
        },
    );
}

#[test]
fn a_server_that_forgets_commits() {
    holds("3 publishers, 2 slots, a crash", CRASH);
}

#[test]
fn larger_bounds() {
    if !all_are_wanted() {
        return;
    }
    holds(
        "3 publishers, 3 slots, a crash",
        Slots { slots: 3, ..CRASH },
    );
    holds(
        "new topic, 3 publishers, 2 slots, a crash",
        Slots {
            topic_is_new: true,
            ..CRASH
        },
    );
}

/// Returns the step in which a publisher takes a slot.
const fn locks(publisher: usize, slot: usize) -> Step {
    LocksFreeSlot { publisher, slot }
}

/// The reader determines the high-water mark.
const LOOKS: &[Step] = &[ReadsLast(0), LooksAtSlot(0), LooksAtSlot(0)];

/// The reader hands out the messages up to the high-water mark.
const READS: &[Step] = &[ReadsHead(0), ReadsPage(0)];

#[test]
fn without_slots() {
    control(
        "no slots",
        THREE,
        |it| it.slot = false,
        NOTHING_IS_SKIPPED,
        &[
            &[DrawsPosition(0)],
            &[DrawsPosition(1), Commits(1)],
            LOOKS,
            READS,
            &[Commits(0)],
        ],
    );
}

#[test]
fn with_the_slot_after_drawing() {
    control(
        "slot after drawing",
        THREE,
        |it| it.slot_before_drawing = false,
        NOTHING_IS_SKIPPED,
        &[
            &[DrawsPosition(0)],
            &[DrawsPosition(1), locks(1, 0), Commits(1)],
            &[ReadsLast(0), LooksAtSlot(0)],
            &[locks(0, 0)],
            &[LooksAtSlot(0)],
            READS,
            &[Commits(0)],
        ],
    );
}

#[test]
fn with_the_slots_before_the_last_position() {
    control(
        "slots before last position",
        THREE,
        |it| it.last_before_slots = false,
        NOTHING_IS_SKIPPED,
        &[
            &[locks(0, 1)],
            &[LooksAtSlot(0)],
            &[locks(1, 0), DrawsPosition(1)],
            &[DrawsPosition(0), Commits(0)],
            &[LooksAtSlot(0), ReadsLast(0)],
            READS,
            &[Commits(1)],
        ],
    );
}

#[test]
fn with_rows_in_an_earlier_snapshot() {
    control(
        "rows in an earlier snapshot",
        THREE,
        |it| it.rows_in_later_snapshot = false,
        NOTHING_IS_SKIPPED,
        &[
            &[locks(0, 0), DrawsPosition(0)],
            &[locks(1, 1), DrawsPosition(1), Commits(1)],
            &[MakesSnapshot(0)],
            &[Commits(0)],
            LOOKS,
            READS,
        ],
    );
}

/// A new reader polls while a publisher is in flight.
const COMES_LATE: &[&[Step]] = &[
    &[locks(0, 0), DrawsPosition(0)],
    &[locks(1, 1), DrawsPosition(1), Commits(1)],
    LOOKS,
    READS,
    &[Commits(0)],
];

#[test]
fn where_held_slots_do_not_count() {
    control(
        "held slots do not count",
        THREE,
        |it| it.held_slots_count = false,
        NOTHING_IS_SKIPPED,
        COMES_LATE,
    );
}

#[test]
fn where_slots_that_were_never_seen_free_do_not_count() {
    control(
        "unseen slots do not count",
        THREE,
        |it| it.unseen_slots_count = false,
        NOTHING_IS_SKIPPED,
        COMES_LATE,
    );
}

#[test]
fn with_observations_of_another_run_of_the_server() {
    let positions_are_reused = false;
    control(
        "observations of another run",
        CRASH,
        |it| it.observations_are_of_one_run = false,
        NOTHING_IS_SKIPPED,
        &[
            &[locks(0, 0), DrawsPosition(0), DrawsPosition(0), Commits(0)],
            LOOKS,
            &[ServerCrashes {
                positions_are_reused,
            }],
            &[locks(1, 0), DrawsPosition(1)],
            &[locks(2, 1), DrawsPosition(2), Commits(2)],
            LOOKS,
            READS,
            &[Commits(1)],
        ],
    );
}
