//! PostgreSQL: no message is skipped.

use persisting_message_bus_models::check::{all_are_wanted, finds, holds};
use persisting_message_bus_models::fence::Step::*;
use persisting_message_bus_models::fence::{
    Fence, Mechanisms, NOTHING_IS_SKIPPED, Publisher, Step, Topic,
};

/// Three publishers of one message each, on one topic.
const THREE: Fence = Fence {
    topics: Topic::OF_ONE_TABLE,
    read: [true, false],
    publishers: [Publisher::of_first_topic(1, 1); 3],
    crashes: 0,
    mechanisms: Mechanisms::ALL,
};

/// Two publishers: one of two messages, with a savepoint, and one of one message.
const SAVEPOINT: Fence = Fence {
    publishers: [
        Publisher::of_first_topic(1, 2).with_savepoint(),
        Publisher::of_first_topic(1, 1),
        Publisher::NONE,
    ],
    ..THREE
};

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

#[test]
fn publishers_in_any_order() {
    holds("3 publishers x 1", THREE);
    let publishers = [
        Publisher::of_first_topic(2, 1),
        Publisher::of_first_topic(2, 1),
        Publisher::NONE,
    ];
    holds(
        "2 publishers x 2",
        Fence {
            publishers,
            ..THREE
        },
    );
}

#[test]
fn savepoints() {
    holds("2 publishers, a savepoint", SAVEPOINT);
    let publishers = [
        Publisher::of_first_topic(1, 3).with_savepoint(),
        Publisher::of_first_topic(2, 1),
        Publisher::NONE,
    ];
    holds(
        "2 publishers x 2, savepoints",
        Fence {
            publishers,
            ..THREE
        },
    );
}

#[test]
fn two_topics() {
    let both = Fence {
        read: [true, true],
        publishers: [
            Publisher::of_both_topics(1, 2).with_savepoint(),
            Publisher::of_both_topics(1, 2),
            Publisher::NONE,
        ],
        ..THREE
    };
    holds("2 publishers on 2 topics", both);
    let topics = Topic::OF_ONE_HASH;
    holds(
        "2 publishers on 2 topics of one hash",
        Fence { topics, ..both },
    );
}

#[test]
fn two_tables_of_one_class() {
    holds("3 publishers on 2 tables of one class", TWO_TABLES);
    let publishers = [
        Publisher::of_both_topics(1, 3).with_savepoint(),
        Publisher::of_both_topics(1, 2),
        Publisher::NONE,
    ];
    let read = [true, true];
    holds(
        "2 publishers on 2 tables of one class, savepoint",
        Fence {
            publishers,
            read,
            ..TWO_TABLES
        },
    );
}

#[test]
fn a_server_that_forgets_commits() {
    holds(
        "3 publishers x 1, a crash",
        Fence {
            crashes: 1,
            ..THREE
        },
    );
    let publishers = [
        Publisher::of_first_topic(2, 1),
        Publisher::of_first_topic(1, 1),
        Publisher::NONE,
    ];
    holds(
        "2 publishers, a crash",
        Fence {
            publishers,
            crashes: 1,
            ..THREE
        },
    );
}

#[test]
fn larger_bounds() {
    if !all_are_wanted() {
        return;
    }
    let mut publishers = [Publisher::of_first_topic(2, 1); 3];
    publishers[0] = Publisher::of_first_topic(1, 2).with_savepoint();
    holds(
        "3 publishers, 2 of them x 2, savepoint",
        Fence {
            publishers,
            ..THREE
        },
    );
    publishers[2] = Publisher::of_first_topic(1, 1);
    holds(
        "3 publishers, a crash",
        Fence {
            publishers,
            crashes: 1,
            ..THREE
        },
    );
}

/// Checks that a control violates the law.
fn control(lacks: &str, fence: Fence, mechanisms: Mechanisms, expected: &[Step]) {
    let fence = Fence {
        mechanisms,
        ..fence
    };
    let bounds = format!("control, {lacks}");
    finds(&bounds, fence, NOTHING_IS_SKIPPED, expected);
}

/// Returns the step in which a publisher dispatches on the first topic.
fn dispatches(publisher: usize) -> Step {
    Dispatches {
        publisher,
        topic: 0,
    }
}

#[test]
fn without_the_lock() {
    let mechanisms = Mechanisms {
        lock: false,
        ..Mechanisms::ALL
    };
    let expected = [
        dispatches(0),
        DrawsPosition(0),
        dispatches(1),
        DrawsPosition(1),
        Commits(1),
        ReadsSequence(0),
        LooksAtLocks(0),
        ReadsHead(0),
        ReadsPage(0),
        Commits(0),
    ];
    control("no lock", THREE, mechanisms, &expected);
}

#[test]
fn with_the_lock_after_drawing() {
    let mechanisms = Mechanisms {
        lock_before_drawing: false,
        ..Mechanisms::ALL
    };
    let expected = [
        dispatches(0),
        DrawsPosition(0),
        dispatches(1),
        DrawsPosition(1),
        TakesLock(1),
        Commits(1),
        ReadsSequence(0),
        LooksAtLocks(0),
        TakesLock(0),
        ReadsHead(0),
        ReadsPage(0),
        Commits(0),
    ];
    control("lock after drawing", THREE, mechanisms, &expected);
}

#[test]
fn with_the_locks_before_the_sequence() {
    let mechanisms = Mechanisms {
        sequence_before_locks: false,
        ..Mechanisms::ALL
    };
    let expected = [
        dispatches(0),
        dispatches(1),
        LooksAtLocks(0),
        TakesLock(0),
        DrawsPosition(0),
        TakesLock(1),
        DrawsPosition(1),
        Commits(1),
        ReadsSequence(0),
        ReadsHead(0),
        ReadsPage(0),
        Commits(0),
    ];
    control("locks before sequence", THREE, mechanisms, &expected);
}

#[test]
fn with_rows_in_an_earlier_snapshot() {
    let mechanisms = Mechanisms {
        rows_in_later_snapshot: false,
        ..Mechanisms::ALL
    };
    let expected = [
        dispatches(0),
        TakesLock(0),
        DrawsPosition(0),
        dispatches(1),
        TakesLock(1),
        DrawsPosition(1),
        Commits(1),
        MakesSnapshot(0),
        Commits(0),
        ReadsSequence(0),
        LooksAtLocks(0),
        ReadsHead(0),
        ReadsPage(0),
    ];
    control("rows in an earlier snapshot", THREE, mechanisms, &expected);
}

#[test]
fn with_a_setting_that_outlives_the_savepoint() {
    let mechanisms = Mechanisms {
        setting_ends_with_savepoint: false,
        ..Mechanisms::ALL
    };
    let expected = [
        SetsSavepoint(0),
        dispatches(0),
        TakesLock(0),
        DrawsPosition(0),
        RollsBackToSavepoint(0),
        dispatches(0),
        DrawsPosition(0),
        dispatches(1),
        TakesLock(1),
        DrawsPosition(1),
        Commits(1),
        ReadsSequence(0),
        LooksAtLocks(0),
        ReadsHead(0),
        ReadsPage(0),
        Commits(0),
    ];
    let lacks = "setting outlives savepoint";
    control(lacks, SAVEPOINT, mechanisms, &expected);
}

#[test]
fn with_a_setting_named_after_the_class_only() {
    let mechanisms = Mechanisms {
        setting_names_sequence: false,
        ..Mechanisms::ALL
    };
    let on_second_topic = |publisher| Dispatches {
        publisher,
        topic: 1,
    };
    let expected = [
        on_second_topic(1),
        TakesLock(1),
        dispatches(2),
        TakesLock(2),
        DrawsPosition(2),
        dispatches(2),
        DrawsPosition(2),
        dispatches(0),
        TakesLock(0),
        DrawsPosition(0),
        on_second_topic(0),
        DrawsPosition(0),
        DrawsPosition(1),
        Commits(1),
        Commits(2),
        ReadsSequence(1),
        LooksAtLocks(1),
        ReadsHead(1),
        ReadsPage(1),
        Commits(0),
    ];
    let lacks = "setting named after the class";
    control(lacks, TWO_TABLES, mechanisms, &expected);
}
