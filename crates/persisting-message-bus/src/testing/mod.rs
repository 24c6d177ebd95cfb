//! Helpers for tests of topics and handlers (feature `testing`).
//!
//! - [`Scenario`]: given messages on the bus, when a consumer runs, then these messages were
//!   dispatched, or this state exists.
//! - [`Golden`]: the wire form of a topic, kept in a file next to the tests, so that a rename or a
//!   changed field fails in review instead of in production.
//!
//! They report a failure by a panic, as assertions do.
#![expect(clippy::panic, reason = "an assertion that does not hold panics")]

mod difference;
mod golden;
mod scenario;
mod values;

pub use crate::testing::golden::Golden;
pub use crate::testing::scenario::Scenario;
