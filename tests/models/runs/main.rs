//! Every state of every model, and what the controls find.
//!
//! `cargo test -p persisting-message-bus-models -- --nocapture` lists the runs; with `MODELS=all` also
//! those that take minutes.

mod deaths;
mod fence;
mod lease;
mod slots;
mod transaction;
