//! The segments of a consumer of two topics are replaced.

use persisting_message_bus_models::check::{control, holds};
use persisting_message_bus_models::progress::{continues, gets_stuck};
use persisting_message_bus_models::segments::topics::Step::*;
use persisting_message_bus_models::segments::topics::*;

const TOPICS: Topics = Topics {
    mechanisms: Mechanisms::ALL,
};

/// A process has polled after the position for `stop_at` was read, and before it was written. It
/// handles the last message when another process has seen that all cursors are at `stop_at`.
const PASSES_STOP: &[&[Step]] = &[
    &[Polls(0), Works(0, 0), Works(0, 1)],
    &[OperatorReads, IsPublished, Polls(0), OperatorSetsTarget],
    &[Polls(1), Works(0, 0)],
];

#[test]
fn two_topics() {
    holds("2 topics, 2 segments", TOPICS);
    continues("2 topics, 2 segments", &TOPICS);
}

/// The cursors of the first topic are still at `stop_at`, those of the second topic are not. The
/// others cannot follow, because no process works while the topics have different segments.
#[test]
fn where_topics_are_replaced_one_after_the_other() {
    gets_stuck(
        "topics are replaced one after the other",
        TOPICS,
        |it| it.replaces_all_topics_at_once = false,
        &[&PASSES_STOP.concat(), &[ReplacesOnTopic(1, 0)]],
    );
}

/// The last message is handled again, by the new segments.
#[test]
fn where_cursors_are_not_checked_again() {
    control(
        "cursors are not checked again",
        TOPICS,
        |it| it.replacing_checks_again = false,
        NOTHING_REPEATS,
        &[&PASSES_STOP.concat(), &[Replaces(1)]],
    );
}
