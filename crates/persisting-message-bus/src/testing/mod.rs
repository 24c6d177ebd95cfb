//! Helpers for tests of topics and handlers (feature `testing`).
//!
//! - [`Scenario`]: given messages on the bus, when a consumer runs, then these messages were
//!   dispatched, or this state is there.
//! - [`Golden`]: the wire form of a topic, kept in a file beside the tests, so that a rename or a
//!   changed field fails in review instead of in production.
//!
//! What they find they tell by a panic, as assertions do.
#![expect(clippy::panic, reason = "an assertion that does not hold panics")]

mod golden;
mod scenario;

pub use self::golden::Golden;
pub use self::scenario::Scenario;

/// The lines in which two texts differ, with some around them.
fn difference(expected: &str, found: &str) -> String {
    similar::TextDiff::from_lines(expected, found)
        .unified_diff()
        .header("expected", "found")
        .to_string()
}
