//! Checks every state of every model, and the violations that the controls find.
//!
//! `cargo test -p persisting-message-bus-models -- --nocapture` lists the runs; `MODELS=all`
//! adds the runs that take minutes.

mod deaths;
mod fence;
mod lease;
mod segments;
mod slots;
mod transaction;
