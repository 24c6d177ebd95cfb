//! Several processes share the segments of one consumer: each segment has one holder, keys stay in
//! order, nothing is skipped, and no segment waits forever.

mod fencing;
mod handling;
mod holding;
mod keeping;
mod replacing;
mod resetting;
mod sharing;
mod topics;

use persisting_message_bus_models::check;
use persisting_message_bus_models::segments::handling::{
    CURSORS_DO_NOT_GO_BACK, Handler, Handling, Mechanisms,
};

/// One segment with three messages of one key. Each process has an idle thread for each segment.
const EXTERNAL: Handling = Handling {
    handler: Handler::External,
    threads: [2, 2, 0],
    messages: 3,
    published: 3,
    slots: [0, 0, 0, 0],
    segments: 1,
    resizes: &[],
    resets: 0,
    never_ends: None,
    hands_out_apart: false,
    takes: 4,
    kills: 0,
    suspensions: 0,
    losses: 0,
    delays: 0,
    mechanisms: Mechanisms::ALL,
};

const TRANSACTIONAL: Handling = Handling {
    handler: Handler::Transactional,
    ..EXTERNAL
};

/// Returns the same model with two segments. The first two messages have different keys.
const fn with_two_segments(handling: Handling) -> Handling {
    Handling {
        segments: 2,
        slots: [0, 1, 0, 0],
        ..handling
    }
}

/// Checks that all laws hold. If answers are lost, a store can arrive late and move a cursor back,
/// until the next store.
fn holds(bounds: &str, handling: Handling) {
    match handling.losses {
        0 => check::holds(bounds, handling),
        _ => check::holds_but_for(bounds, handling, CURSORS_DO_NOT_GO_BACK),
    }
}
