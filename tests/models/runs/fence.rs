//! PostgreSQL: no message is skipped.

use persisting_message_bus_models::check::{all_are_wanted, control, holds};
use persisting_message_bus_models::fence::Step::*;
use persisting_message_bus_models::fence::*;

/// Three publishers of one message each, on one topic.
const THREE: Fence = Fence {
    topics: Topic::OF_ONE_TABLE,
    read: [true, false],
    publishers: [Publisher::of_first_topic(1, 1); 3],
    crashes: 0,
    mechanisms: Mechanisms::ALL,
};

/// Two publishers: one of two messages, with a savepoint, and one of one message.
const SAVEPOINT: Fence = with([
    Publisher::of_first_topic(1, 2).with_savepoint(),
    Publisher::of_first_topic(1, 1),
    Publisher::NONE,
]);

/// Two tables whose topics' locks have the same class. One transaction publishes on both.
const TWO_TABLES: Fence = Fence {
    topics: Topic::OF_ONE_CLASS,
    read: [false, true],
    publishers: [
        Publisher::of_both_topics(1, 2),
        Publisher::of_second_topic(1, 1),
        Publisher::of_first_topic(1, 2),
    ],
    ..THREE
};

/// Returns the model with other publishers.
const fn with(publishers: [Publisher; PUBLISHERS]) -> Fence {
    Fence {
        publishers,
        ..THREE
    }
}

#[test]
fn publishers_in_any_order() {
    holds("3 publishers x 1", THREE);
    let x_2 = Publisher::of_first_topic(2, 1);
    holds("2 publishers x 2", with([x_2, x_2, Publisher::NONE]));
}

#[test]
fn savepoints() {
    holds("2 publishers, a savepoint", SAVEPOINT);
    let fence = with([
        Publisher::of_first_topic(1, 3).with_savepoint(),
        Publisher::of_first_topic(2, 1),
        Publisher::NONE,
    ]);
    holds("2 publishers x 2, savepoints", fence);
}

#[test]
fn two_topics() {
    let both = Fence {
        read: [true, true],
        ..with([
            Publisher::of_both_topics(1, 2).with_savepoint(),
            Publisher::of_both_topics(1, 2),
            Publisher::NONE,
        ])
    };
    holds("2 publishers on 2 topics", both);
    let topics = Topic::OF_ONE_HASH;
    let bounds = "2 publishers on 2 topics of one hash";
    holds(bounds, Fence { topics, ..both });
}

#[test]
fn two_tables_of_one_class() {
    holds("3 publishers on 2 tables of one class", TWO_TABLES);
    let fence = Fence {
        read: [true, true],
        publishers: [
            Publisher::of_both_topics(1, 3).with_savepoint(),
            Publisher::of_both_topics(1, 2),
            Publisher::NONE,
        ],
        ..TWO_TABLES
    };
    holds("2 publishers on 2 tables of one class, savepoint", fence);
}

#[test]
fn a_server_that_forgets_commits() {
    let crashes = 1;
    holds("3 publishers x 1, a crash", Fence { crashes, ..THREE });
    let two = with([
        Publisher::of_first_topic(2, 1),
        Publisher::of_first_topic(1, 1),
        Publisher::NONE,
    ]);
    holds("2 publishers, a crash", Fence { crashes, ..two });
}

#[test]
fn larger_bounds() {
    if !all_are_wanted() {
        return;
    }
    let savepoint = Publisher::of_first_topic(1, 2).with_savepoint();
    let x_2 = Publisher::of_first_topic(2, 1);
    let bounds = "3 publishers, 2 of them x 2, savepoint";
    holds(bounds, with([savepoint, x_2, x_2]));
    let fence = Fence {
        crashes: 1,
        ..with([savepoint, x_2, Publisher::of_first_topic(1, 1)])
    };
    holds("3 publishers, a crash", fence);
}

/// Returns the step in which a publisher begins to insert a message.
const fn dispatches(publisher: usize, topic: usize) -> Step {
    Dispatches { publisher, topic }
}

/// Returns the steps in which a publisher inserts its first message, on the first topic.
const fn inserts(publisher: usize) -> [Step; 3] {
    [
        dispatches(publisher, 0),
        TakesLock(publisher),
        DrawsPosition(publisher),
    ]
}

/// Returns the steps in which a reader determines the high-water mark of a topic.
const fn looks(topic: usize) -> [Step; 3] {
    [
        LooksForMessage(topic),
        ReadsSequence(topic),
        LooksAtLocks(topic),
    ]
}

/// Returns the steps in which a reader hands out the messages up to the high-water mark.
const fn reads(topic: usize) -> [Step; 2] {
    [ReadsHead(topic), ReadsPage(topic)]
}

#[test]
fn without_the_lock() {
    control(
        "no lock",
        THREE,
        |it| it.lock = false,
        NOTHING_IS_SKIPPED,
        &[
            &[dispatches(0, 0), DrawsPosition(0)],
            &[dispatches(1, 0), DrawsPosition(1), Commits(1)],
            &looks(0),
            &reads(0),
            &[Commits(0)],
        ],
    );
}

#[test]
fn with_the_lock_after_drawing() {
    control(
        "lock after drawing",
        THREE,
        |it| it.lock_before_drawing = false,
        NOTHING_IS_SKIPPED,
        &[
            &[dispatches(0, 0), DrawsPosition(0)],
            &[dispatches(1, 0), DrawsPosition(1), TakesLock(1), Commits(1)],
            &looks(0),
            &[TakesLock(0)],
            &reads(0),
            &[Commits(0)],
        ],
    );
}

#[test]
fn with_rows_read_by_an_idle_reader() {
    control(
        "idle reader reads rows",
        THREE,
        |it| it.idle_reads_no_rows = false,
        NOTHING_IS_SKIPPED,
        &[
            &inserts(0),
            &inserts(1),
            &[LooksForMessage(0)],
            &[Commits(1)],
            &[ReadsSequence(0)],
            &reads(0),
            &[Commits(0)],
        ],
    );
}

#[test]
fn with_the_locks_before_the_sequence() {
    control(
        "locks before sequence",
        THREE,
        |it| it.sequence_before_locks = false,
        NOTHING_IS_SKIPPED,
        &[
            &inserts(0),
            &[Commits(0)],
            &[dispatches(1, 0)],
            &[dispatches(2, 0)],
            &[LooksForMessage(0), LooksAtLocks(0)],
            &[TakesLock(1), DrawsPosition(1)],
            &[TakesLock(2), DrawsPosition(2), Commits(2)],
            &[ReadsSequence(0)],
            &reads(0),
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
            &inserts(0),
            &inserts(1),
            &[Commits(1)],
            &[MakesSnapshot(0)],
            &[Commits(0)],
            &looks(0),
            &reads(0),
        ],
    );
}

#[test]
fn with_a_setting_that_outlives_the_savepoint() {
    control(
        "setting outlives savepoint",
        SAVEPOINT,
        |it| it.setting_ends_with_savepoint = false,
        NOTHING_IS_SKIPPED,
        &[
            &[SetsSavepoint(0)],
            &inserts(0),
            &[RollsBackToSavepoint(0)],
            &[dispatches(0, 0), DrawsPosition(0)],
            &inserts(1),
            &[Commits(1)],
            &looks(0),
            &reads(0),
            &[Commits(0)],
        ],
    );
}

#[test]
fn with_a_setting_named_after_the_class_only() {
    control(
        "setting named after the class",
        TWO_TABLES,
        |it| it.setting_names_sequence = false,
        NOTHING_IS_SKIPPED,
        &[
            &[dispatches(1, 1), TakesLock(1)],
            &inserts(2),
            &[dispatches(2, 0), DrawsPosition(2)],
            &inserts(0),
            &[dispatches(0, 1), DrawsPosition(0)],
            &[DrawsPosition(1), Commits(1)],
            &[Commits(2)],
            &looks(1),
            &reads(1),
            &[Commits(0)],
        ],
    );
}
