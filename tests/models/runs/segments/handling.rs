//! The laws of handling messages hold.

use persisting_message_bus_models::check::all_are_wanted;
use persisting_message_bus_models::progress::continues;
use persisting_message_bus_models::segments::handling::*;

use super::{EXTERNAL, TRANSACTIONAL, holds, with_two_segments};

const KINDS: [Handling; 2] = [TRANSACTIONAL, EXTERNAL];

fn all_hold(bounds: &str, change: impl Fn(Handling) -> Handling) {
    for handling in KINDS {
        let bounds = format!("{:?}, {bounds}", handling.handler);
        let handling = change(handling);
        holds(&bounds, handling);
        continues(&bounds, &handling);
    }
}

#[test]
fn one_segment() {
    all_hold("3 messages", |it| it);
    all_hold("3 messages, a kill, a suspension", |it| Handling {
        kills: 1,
        suspensions: 1,
        ..it
    });
    all_hold("3 messages, 2 kills", |it| Handling { kills: 2, ..it });
    all_hold("3 messages, 2 suspensions", |it| Handling {
        suspensions: 2,
        ..it
    });
}

/// The third process can take the segment too.
#[test]
fn three_processes() {
    let three = |it| Handling {
        threads: [1, 1, 1],
        ..it
    };
    all_hold("3 processes, 3 messages", three);
    all_hold("3 processes, 3 messages, a kill", |it| Handling {
        kills: 1,
        ..three(it)
    });
    all_hold("3 processes, 3 messages, a suspension", |it| Handling {
        suspensions: 1,
        ..three(it)
    });
    all_hold("3 processes, 2 messages, 2 suspensions", |it| Handling {
        messages: 2,
        published: 2,
        suspensions: 2,
        ..three(it)
    });
    all_hold("3 processes, 2 messages, a loss", |it| Handling {
        messages: 2,
        published: 2,
        losses: 1,
        ..three(it)
    });
}

/// The cursor of a segment without messages follows the others.
const fn with_four_segments(handling: Handling) -> Handling {
    Handling {
        threads: [1, 1, 1],
        segments: 4,
        slots: [0, 1, 0, 2],
        takes: 5,
        ..handling
    }
}

#[test]
fn three_processes_and_four_segments() {
    all_hold("3 processes, 4 segments, 4 messages", |it| Handling {
        messages: 4,
        published: 4,
        takes: 6,
        ..with_four_segments(it)
    });
    for handling in KINDS.map(with_four_segments) {
        let bounds = format!("{:?}, 3 processes, 4 segments", handling.handler);
        holds(
            &format!("{bounds}, a kill"),
            Handling {
                kills: 1,
                ..handling
            },
        );
        holds(
            &format!("{bounds}, a suspension"),
            Handling {
                suspensions: 1,
                ..handling
            },
        );
    }
}

#[test]
fn lost_and_late_answers() {
    all_hold("3 messages, 2 losses", |it| Handling { losses: 2, ..it });
    all_hold("3 messages, a loss, a kill", |it| Handling {
        losses: 1,
        kills: 1,
        ..it
    });
    all_hold("3 messages, a late answer", |it| Handling {
        delays: 1,
        ..it
    });
}

#[test]
fn a_suspension_between_the_check_and_the_handler() {
    all_hold("3 messages, apart, a suspension", |it| Handling {
        hands_out_apart: true,
        suspensions: 1,
        ..it
    });
}

#[test]
fn two_segments() {
    all_hold("2 segments, 3 messages", with_two_segments);
    all_hold("2 segments, 2 messages, a suspension", |it| Handling {
        messages: 2,
        published: 2,
        suspensions: 1,
        ..with_two_segments(it)
    });
    all_hold("2 segments, 2 messages, a loss", |it| Handling {
        messages: 2,
        published: 2,
        losses: 1,
        ..with_two_segments(it)
    });
    all_hold("2 segments, 2 messages, a kill", |it| Handling {
        messages: 2,
        published: 2,
        kills: 1,
        ..with_two_segments(it)
    });
}

#[test]
fn beside_a_handler_that_does_not_return() {
    let handling = Handling {
        threads: [1, 1, 0],
        never_ends: Some(1),
        ..with_two_segments(EXTERNAL)
    };
    continues("2 segments, a thread each, the first never ends", &handling);
    let killed = Handling {
        kills: 1,
        takes: 5,
        ..handling
    };
    continues(
        "2 segments, a thread each, the first never ends, a kill",
        &killed,
    );
}

#[test]
fn resets() {
    all_hold("2 messages, a reset, a suspension", |it| Handling {
        messages: 2,
        published: 2,
        resets: 1,
        suspensions: 1,
        ..it
    });
    all_hold("2 messages, a reset, a loss", |it| Handling {
        messages: 2,
        published: 2,
        resets: 1,
        losses: 1,
        ..it
    });
}

#[test]
fn resizes() {
    all_hold("1 segment becomes 2, 3 messages", |it| Handling {
        published: 2,
        slots: [0, 1, 0, 0],
        resizes: &[2],
        takes: 5,
        ..it
    });
    all_hold("2 segments become 1, 2 messages", |it| Handling {
        messages: 2,
        published: 1,
        resizes: &[1],
        takes: 5,
        ..with_two_segments(it)
    });
    let external = Handling {
        published: 2,
        resizes: &[1],
        takes: 5,
        ..with_two_segments(EXTERNAL)
    };
    holds("External, 2 segments become 1, 3 messages", external);
    continues("External, 2 segments become 1, 3 messages", &external);
}

/// A reset before, during and after a change of the number of segments.
#[test]
fn resets_and_resizes() {
    all_hold("1 segment becomes 2, 2 messages, a reset", |it| Handling {
        messages: 2,
        published: 1,
        slots: [0, 1, 0, 0],
        resizes: &[2],
        resets: 1,
        takes: 5,
        ..it
    });
    all_hold("2 segments become 1, 2 messages, a reset", |it| Handling {
        messages: 2,
        published: 1,
        resizes: &[1],
        resets: 1,
        takes: 5,
        ..with_two_segments(it)
    });
}

/// A message of each segment, and a fault. Whether they continue is a run with larger bounds.
#[test]
fn resizes_with_faults() {
    for (bounds, handling) in KINDS.into_iter().flat_map(resizes_and_fails) {
        holds(&bounds, handling);
    }
}

fn resizes_and_fails(handling: Handling) -> [(String, Handling); 2] {
    let resizes = Handling {
        messages: 2,
        published: 1,
        slots: [0, 1, 0, 0],
        resizes: &[2],
        takes: 5,
        ..handling
    };
    let bounds = format!("{:?}, 1 segment becomes 2", handling.handler);
    [
        (
            format!("{bounds}, a suspension"),
            Handling {
                suspensions: 1,
                ..resizes
            },
        ),
        (
            format!("{bounds}, a kill"),
            Handling {
                kills: 1,
                ..resizes
            },
        ),
    ]
}

#[test]
fn larger_bounds() {
    if !all_are_wanted() {
        return;
    }
    for (bounds, handling) in KINDS.into_iter().flat_map(resizes_and_fails) {
        continues(&bounds, &handling);
    }
    all_hold("2 segments become 1, 3 messages", |it| Handling {
        published: 2,
        resizes: &[1],
        takes: 5,
        ..with_two_segments(it)
    });
    all_hold("3 processes, 4 segments, a loss", |it| Handling {
        losses: 1,
        ..with_four_segments(it)
    });
    all_hold("2 segments become 1, 2 messages, a suspension", |it| {
        Handling {
            messages: 2,
            published: 1,
            resizes: &[1],
            suspensions: 1,
            takes: 5,
            ..with_two_segments(it)
        }
    });
    let four = Handling {
        messages: 2,
        published: 1,
        resizes: &[2],
        takes: 8,
        threads: [1, 1, 0],
        ..with_four_segments(TRANSACTIONAL)
    };
    holds("Transactional, 4 segments become 2, 2 messages", four);
}
