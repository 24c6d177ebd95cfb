//! The laws of holding segments hold.

use persisting_message_bus_models::check::{all_are_wanted, holds};
use persisting_message_bus_models::progress::continues;
use persisting_message_bus_models::segments::holding::*;

use super::sharing::THREE;

/// Returns the same model, which counts the takes of other segments.
const fn counts(passes: u8, holding: Holding) -> Holding {
    Holding {
        passes: Some(passes),
        ..holding
    }
}

#[test]
fn three_processes_and_four_segments() {
    holds("3 processes, 4 segments", THREE);
    holds(
        "3 processes, 4 segments, a kill",
        Holding { kills: 1, ..THREE },
    );
    holds(
        "3 processes, 4 segments, a suspension",
        Holding {
            suspensions: 1,
            ..THREE
        },
    );
    holds(
        "3 processes, 4 segments, a lost take",
        Holding { losses: 1, ..THREE },
    );
    holds(
        "3 processes, 4 segments, work ends and comes",
        Holding {
            work_ends: true,
            ..THREE
        },
    );
    holds(
        "3 processes with 2, 2 and 1 threads, 4 segments",
        Holding {
            threads: [2, 2, 1],
            ..THREE
        },
    );
}

/// Each process passes over a segment for each of the other segments at most once.
#[test]
fn segments_that_wait() {
    holds("3 processes, 4 segments, 9 passes", counts(9, THREE));
    let first = Holding {
        watched: 0,
        ..THREE
    };
    holds(
        "3 processes, the first of 4 segments, 9 passes",
        counts(9, first),
    );
    let two = Holding {
        threads: [1, 1, 0],
        ..THREE
    };
    holds("2 processes, 4 segments, 6 passes", counts(6, two));
    let killed = Holding { kills: 1, ..two };
    holds(
        "2 processes, 4 segments, a kill, 7 passes",
        counts(7, killed),
    );
    let suspended = Holding {
        suspensions: 1,
        ..two
    };
    holds(
        "2 processes, 4 segments, a suspension, 9 passes",
        counts(9, suspended),
    );
    let threads = Holding {
        threads: [2, 2, 0],
        ..THREE
    };
    holds(
        "2 processes with 2 threads, 4 segments, 8 passes",
        counts(8, threads),
    );
}

/// A slice that fails moves no cursor, and its process remembers it.
#[test]
fn segments_that_wait_beside_failures() {
    let one = Holding {
        threads: [1, 0, 0],
        slices_fail: true,
        ..THREE
    };
    holds("1 process, 4 segments, failures, 3 passes", counts(3, one));
    let two = Holding {
        threads: [1, 1, 0],
        ..one
    };
    holds(
        "2 processes, 4 segments, failures, 6 passes",
        counts(6, two),
    );
    continues("2 processes, 4 segments, failures", &two);
}

/// Returns the same model, which counts the polls of each process.
const fn polls(polls: u8, holding: Holding) -> Holding {
    Holding {
        polls: Some(polls),
        ..holding
    }
}

/// A segment stays free for as many polls of each process as the other segments need: three with a
/// thread each, and two where one process has two threads.
#[test]
fn segments_that_stay_free() {
    holds("3 processes, 4 segments, 3 polls of each", polls(3, THREE));
    let threads = Holding {
        threads: [2, 1, 1],
        ..THREE
    };
    holds(
        "3 processes with 2, 1 and 1 threads, 4 segments, 2 polls of each",
        polls(2, threads),
    );
}

#[test]
fn segments_continue() {
    continues(
        "3 processes, 4 segments, a lost take",
        &Holding { losses: 1, ..THREE },
    );
    continues(
        "3 processes, 4 segments, a kill",
        &Holding { kills: 1, ..THREE },
    );
    continues(
        "3 processes, 4 segments, a suspension",
        &Holding {
            suspensions: 1,
            ..THREE
        },
    );
    continues(
        "3 processes, 4 segments, work ends and comes",
        &Holding {
            work_ends: true,
            ..THREE
        },
    );
}

#[test]
fn beside_a_handler_that_does_not_return() {
    let never_ends = Holding {
        never_ends: Some(0),
        kills: 1,
        ..THREE
    };
    holds(
        "3 processes, the first of 4 segments never ends, a kill",
        never_ends,
    );
    continues(
        "3 processes, the first of 4 segments never ends, a kill",
        &never_ends,
    );
}

#[test]
fn larger_bounds() {
    if !all_are_wanted() {
        return;
    }
    let three = Holding {
        segments: 3,
        watched: 2,
        slices_fail: true,
        ..THREE
    };
    holds(
        "3 processes, 3 segments, failures, 6 passes",
        counts(6, three),
    );
    holds(
        "3 processes, 4 segments, 2 kills, a suspension",
        Holding {
            kills: 2,
            suspensions: 1,
            ..THREE
        },
    );
    continues(
        "3 processes, 4 segments, a kill, a lost take",
        &Holding {
            kills: 1,
            losses: 1,
            ..THREE
        },
    );
}
