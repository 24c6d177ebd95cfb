//! The protocols that keep messages from being lost or handled twice, as state machines. The tests
//! visit every state that can be reached within small bounds.
//!
//! A model knows nothing of the library. It states what the library's statements do, in steps.
//! Between two steps, another process can act. Steps are named after the functions and statements
//! that they stand for.
//!
//! A *control* is a model without one mechanism. It must violate a law, which shows that the law is
//! not empty and that the mechanism is needed. The shortest path to the violation is part of the
//! test, so that a test on a real database can follow it.

pub mod check;
pub mod deaths;
pub mod fence;
pub mod lease;
mod positions;
pub mod progress;
pub mod segments;
pub mod slots;
pub mod transaction;
