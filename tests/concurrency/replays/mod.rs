//! The traces that the controls of the models find, replayed step by step on real servers. Here the
//! mechanism that the control lacks is in place, so nothing is skipped.
//!
//! The traces are in `tests/models/runs/fence.rs` and `slots.rs`. Where a trace stops a statement
//! in the middle, functions and triggers of the tests wait there for a lock. Traces of whole
//! statements are in `interleavings.rs` and `between.rs`.

mod gate;
mod mariadb;
mod postgres;
