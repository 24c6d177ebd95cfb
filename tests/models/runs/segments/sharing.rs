//! Controls: how processes choose and take segments.

use persisting_message_bus_models::check::control;
use persisting_message_bus_models::progress::gets_stuck;
use persisting_message_bus_models::segments::holding::Step::*;
use persisting_message_bus_models::segments::holding::*;

/// Three processes with a thread each. All of the four segments have work.
pub const THREE: Holding = Holding {
    threads: [1, 1, 1],
    segments: 4,
    watched: 3,
    passes: None,
    polls: None,
    slices_fail: false,
    work_ends: false,
    never_ends: None,
    kills: 0,
    suspensions: 0,
    losses: 0,
    mechanisms: Mechanisms::ALL,
};

/// One process with one thread and two segments.
const ONE: Holding = Holding {
    threads: [1, 0, 0],
    segments: 2,
    watched: 1,
    ..THREE
};

/// The process takes the first segment again and again.
#[test]
fn where_the_lowest_number_is_first() {
    control(
        "the lowest number is first",
        Holding {
            passes: Some(3),
            ..ONE
        },
        |it| it.longest_wait_first = false,
        NO_SEGMENT_IS_PASSED_OVER,
        &[&[
            Polls(0),
            Takes(0, 0),
            EndsSlice(0, 0),
            Polls(0),
            Takes(0, 0),
            EndsSlice(0, 0),
            Polls(0),
            Takes(0, 0),
            EndsSlice(0, 0),
            Polls(0),
            Takes(0, 0),
        ]],
    );
}

/// A slice that fails moves no cursor, so its segment has always waited longest.
#[test]
fn where_releases_are_forgotten() {
    control(
        "releases are forgotten",
        Holding {
            passes: Some(3),
            slices_fail: true,
            ..ONE
        },
        |it| it.remembers_releases = false,
        NO_SEGMENT_IS_PASSED_OVER,
        &[&[
            Polls(0),
            Takes(0, 0),
            FailsSlice(0, 0),
            Polls(0),
            Takes(0, 0),
            FailsSlice(0, 0),
            Polls(0),
            Takes(0, 0),
            FailsSlice(0, 0),
            Polls(0),
            Takes(0, 0),
        ]],
    );
}

/// An idle thread takes the segment on which another thread of the process works.
#[test]
fn where_a_process_takes_its_own_segment() {
    control(
        "own segments are free",
        Holding {
            threads: [2, 0, 0],
            passes: Some(3),
            ..ONE
        },
        |it| it.own_is_not_free = false,
        NO_SEGMENT_IS_PASSED_OVER,
        &[&[
            Polls(0),
            Takes(0, 1),
            EndsSlice(0, 1),
            Takes(0, 0),
            Polls(0),
            Takes(0, 0),
            Polls(0),
            Takes(0, 0),
            Polls(0),
            Takes(0, 0),
        ]],
    );
}

/// Two processes have chosen the same segment.
#[test]
fn where_the_take_compares_nothing() {
    control(
        "the take compares nothing",
        THREE,
        |it| it.take_compares = false,
        A_LEASE_HAS_ONE_HOLDER,
        &[&[Polls(0)], &[Polls(1)], &[Takes(0, 0)], &[Takes(1, 0)]],
    );
}

/// A process takes segments that none of its threads can work on.
#[test]
fn where_a_process_takes_all_segments() {
    control(
        "more segments than threads",
        THREE,
        |it| it.one_for_each_thread = false,
        A_SEGMENT_HAS_A_THREAD,
        &[&[Polls(0), Takes(0, 0), Takes(0, 1)]],
    );
}

/// The take is committed, its answer is lost, and the process renews a lease that it does not know.
#[test]
fn where_renewals_name_the_owner_only() {
    gets_stuck(
        "renewals name the owner only",
        Holding { losses: 1, ..THREE },
        |it| it.renews_what_it_knows = false,
        &[
            &[
                Polls(0),
                Takes(0, 0),
                EndsSlice(0, 0),
                Polls(0),
                Takes(0, 1),
            ],
            &[Polls(1), Takes(1, 2)],
            &[Polls(2), TakesWithoutAnswer(2, 3)],
        ],
    );
}
