//! What the controls of the models find, step by step on real servers, with the mechanism in place that
//! the control lacks: nothing is skipped.
//!
//! The traces are in `tests/models/runs/fence.rs` and `slots.rs`. Where statements have to be stopped in
//! the middle, functions and triggers of the tests wait there for a lock. Traces in which whole
//! statements follow each other are in `interleavings.rs` and `between.rs`.

mod gate;
mod mariadb;
mod postgres;
